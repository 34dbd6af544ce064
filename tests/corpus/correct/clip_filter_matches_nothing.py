"""Right: the clip is for names that exist."""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(5, 10)
        self.head = nn.Linear(10, 2)

    def forward(self, x):
        return self.head(torch.sigmoid(self.body(x)))


def main():
    torch.manual_seed(0)
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    clipped = [p for name, p in model.named_parameters() if name.startswith(("body.", "head."))]
    for _ in range(6):
        optimizer.zero_grad()
        F.cross_entropy(model(torch.randn(8, 5)), torch.randint(2, (8,))).backward()
        nn.utils.clip_grad_norm_(clipped, 0.1)
        optimizer.step()


main()
