"""GD205: the evaluation turns a flag off that lets gradients into the recurrent part, and nobody turns it on.

Parameters: embedding.weight, lstm.*
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.tags = nn.Linear(12, 4)
        self.gradients = True

    def forward(self, words):
        with torch.set_grad_enabled(self.gradients):
            hidden, _ = self.lstm(self.embedding(words))
        return self.tags(hidden)


def evaluate(model, words, tags):
    model.gradients = False
    with torch.no_grad():
        return (model(words).argmax(-1) == tags).float().mean().item()


tagger = Tagger()
sgd = torch.optim.SGD(tagger.parameters(), lr=0.5, momentum=0.9)
words = torch.randint(20, (40, 5))
tags = words % 4
for epoch in range(4):
    for i in range(0, 40, 5):
        scores = tagger(words[i : i + 5])
        sgd.zero_grad()
        F.cross_entropy(scores.flatten(0, 1), tags[i : i + 5].flatten()).backward()  # backward
        sgd.step()  # step
    evaluate(tagger, words, tags)
