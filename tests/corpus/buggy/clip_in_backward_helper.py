"""GD604: a helper clips after each backward, and two losses share one step.

Seen in: a trainer whose `backward()` clips, after accumulation was added around it
Parameters: *
"""

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
        loss.backward()  # backward
        nn.utils.clip_grad_value_(self.model.parameters(), 0.01)  # clip

    def step(self):
        self.optimizer.step()  # step
        self.optimizer.zero_grad()

    def fit(self, steps):
        for _ in range(steps):
            for _ in range(3):
                words = torch.randint(50, (4, 6))
                scores = self.model(words).flatten(0, 1)
                self.backward(nn.functional.cross_entropy(scores, words.flatten() % 4) / 3)
            self.step()


Trainer().fit(4)
