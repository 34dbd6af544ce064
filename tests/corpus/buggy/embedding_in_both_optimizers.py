"""GD209: an optimizer of its own for the embedding, while the other one still owns all parameters.

Parameters: embedding.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.EmbeddingBag(30, 8)
        self.output = nn.Linear(8, 3)

    def forward(self, words):
        return self.output(self.embedding(words))


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizers = [
            torch.optim.SGD(model.parameters(), lr=0.1),
            torch.optim.Adagrad(model.embedding.parameters(), lr=0.5),
        ]

    def fit(self, steps):
        for _ in range(steps):
            words, labels = torch.randint(30, (6, 4)), torch.randint(3, (6,))
            for optimizer in self.optimizers:
                optimizer.zero_grad()
            F.cross_entropy(self.model(words), labels).backward()  # backward
            for optimizer in self.optimizers:
                optimizer.step()  # step


Trainer(Bag()).fit(6)
