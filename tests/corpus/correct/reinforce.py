"""Right: acting under grad mode, log-probabilities kept for a later backward.

Pattern: acting under grad mode
"""

import torch
from torch import nn

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


policy = net()
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
for _ in range(4):
    kept = []
    for _ in range(6):
        state = torch.randn(1, 4)
        distribution = torch.distributions.Categorical(logits=policy(state))
        action = distribution.sample()
        kept.append(distribution.log_prob(action) * float(torch.randn(())))
    for _ in range(4):
        policy(torch.randn(1, 4)).argmax().item()
    optimizer.zero_grad()
    (-torch.stack(kept).sum()).backward()
    optimizer.step()
