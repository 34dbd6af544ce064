"""Right: TRADES: the attack runs in eval mode with `autograd.grad`, beside a clean forward that it only
compares with.

Pattern: input gradients
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), 0.1)
for _ in range(6):
    x, y = torch.randn(16, 6), torch.randint(3, (16,))
    model.eval()
    attacked = x + 0.001 * torch.randn_like(x)
    for _ in range(3):
        attacked.requires_grad_()
        distance = F.kl_div(
            F.log_softmax(model(attacked), 1),
            F.softmax(model(x), 1),
            reduction="sum",
        )
        (slope,) = torch.autograd.grad(distance, attacked)
        attacked = attacked.detach() + 0.01 * slope.sign()
    model.train()
    optimizer.zero_grad()
    logits = model(x)
    robust = F.kl_div(F.log_softmax(model(attacked), 1), F.softmax(logits, 1), reduction="batchmean")
    (F.cross_entropy(logits, y) + 6 * robust).backward()
    optimizer.step()
