"""Right: Adam for the first steps and L-BFGS for the last ones, over the same parameters."""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(1, 12), nn.Tanh(), nn.Linear(12, 1))
x = torch.linspace(-1, 1, 40).unsqueeze(1)
y = torch.sin(3 * x)

adam = torch.optim.Adam(model.parameters(), lr=1e-2)
for _ in range(20):
    adam.zero_grad()
    (model(x) - y).square().mean().backward()
    adam.step()

lbfgs = torch.optim.LBFGS(model.parameters(), max_iter=5, line_search_fn="strong_wolfe")


def closure():
    lbfgs.zero_grad()
    loss = (model(x) - y).square().mean()
    loss.backward()
    return loss


for _ in range(6):
    lbfgs.step(closure)
