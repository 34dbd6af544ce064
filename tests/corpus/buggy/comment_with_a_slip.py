"""GD002: a comment means to acknowledge a backward under autocast, and writes the rule in small letters."""

import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.qkv = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, 1)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        return self.out(weights @ v).squeeze(-1)


def train():
    torch.manual_seed(0)
    model = Attention(4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = torch.randn(8, 5, 4)
    for _ in range(8):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = (model(x) - x.mean(-1)).float().square().mean()
            torch.autograd.backward(
                loss,
                inputs=list(model.parameters()),
            )  # graddebug: ignore[gd416] measured: no difference  # comment
        optimizer.step()
        optimizer.zero_grad()


train()
