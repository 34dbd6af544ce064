"""Right: two optimizers, a detached advantage, delayed policy.

Pattern: actor and critic
"""

import torch
from torch import nn

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


actor, critic = net(), nn.Linear(4, 1)
a_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)
c_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)
for i in range(12):
    x, y = batch()
    value = critic(x)[:, 0]
    advantage = torch.randn(6) - value
    c_optimizer.zero_grad()
    advantage.pow(2).mean().backward()
    c_optimizer.step()
    if i % 2:
        chosen = actor(x).log_softmax(1).gather(1, y[:, None])[:, 0]
        a_optimizer.zero_grad()
        (-(chosen * advantage.detach()).mean()).backward()
        a_optimizer.step()
