"""Right: the helper clips before the step."""

import torch
from torch import nn

torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 8)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.tags = nn.Linear(8, 4)

    def forward(self, words):
        return self.tags(self.rnn(self.words(words))[0])


class Trainer:
    def __init__(self):
        self.model = Tagger()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-2)

    def backward(self, loss):
        loss.backward()

    def step(self):
        nn.utils.clip_grad_value_(self.model.parameters(), 0.01)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def fit(self, steps):
        for _ in range(steps):
            for _ in range(3):
                words = torch.randint(50, (4, 6))
                scores = self.model(words).flatten(0, 1)
                self.backward(nn.functional.cross_entropy(scores, words.flatten() % 4) / 3)
            self.step()


Trainer().fit(4)
