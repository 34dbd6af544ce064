"""Right: SAM: both passes through one helper that clears first, the weights moved through `.data` in between.

Pattern: sharpness-aware minimisation
"""

import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)


def compute_gradients(x, y):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x), y).backward()


for _ in range(8):
    x, y = torch.randn(16, 4), torch.randint(3, (16,))
    compute_gradients(x, y)
    shifts = [0.05 * p.grad / (p.grad.norm() + 1e-12) for p in model.parameters()]
    for parameter, shift in zip(model.parameters(), shifts):
        parameter.data.add_(shift)
    compute_gradients(x, y)
    for parameter, shift in zip(model.parameters(), shifts):
        parameter.data.sub_(shift)
    optimizer.step()
