"""Right: the bfloat16 tower gets steps that are as long as the distance between its numbers."""

import torch
from torch import nn

torch.manual_seed(0)


class TwoTowers(nn.Module):
    def __init__(self):
        super().__init__()
        self.tower = nn.Linear(12, 6, bias=False).to(torch.bfloat16)
        self.other = nn.Linear(12, 6)

    def similarity(self, a, b):
        return (self.tower(a.to(torch.bfloat16)).float() * self.other(b)).sum(-1)


def train(rate):
    towers = TwoTowers()
    with torch.no_grad():
        towers.tower.weight.add_(towers.tower.weight.sign())
    sgd = torch.optim.SGD(towers.parameters(), lr=rate)
    for _ in range(25):
        a, b = torch.randn(2, 32, 12)
        loss = (towers.similarity(a, b) - (a * b).sum(-1)).abs().mean()
        loss.backward()
        sgd.step()
        sgd.zero_grad()


train(rate=0.05)
