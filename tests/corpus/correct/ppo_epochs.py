"""Right: several epochs over one rollout, with an early stop.

Pattern: epochs over one rollout
"""

import torch
from torch import nn

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


policy = net()
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
for _ in range(3):
    x, y = batch(12)
    with torch.no_grad():
        old = policy(x).log_softmax(1).gather(1, y[:, None])
    gain = torch.randn(12, 1)
    for _ in range(4):
        new = policy(x).log_softmax(1).gather(1, y[:, None])
        ratio = (new - old).exp()
        loss = -torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean()
        optimizer.zero_grad()
        loss.backward()
        if (old - new).mean() > 0.05:
            break
        optimizer.step()
