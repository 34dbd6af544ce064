"""GD104: the actor's loss runs through the critic, and the critic applies what it left there.

Seen in: https://github.com/FoundationVision/OmniTokenizer/issues/15
Parameters: critic.bias, critic.weight
"""

import torch
from torch import nn

torch.manual_seed(0)
actor = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 1))
critic = nn.Bilinear(3, 1, 1)
actor_optimizer = torch.optim.Adam(actor.parameters(), lr=1e-3)
critic_optimizer = torch.optim.Adam(critic.parameters(), lr=1e-3)


def update(state, action, reward):
    error = (critic(state, action) - reward).square().mean()
    error.backward()
    critic_optimizer.step()  # step
    critic_optimizer.zero_grad()

    (-critic(state, actor(state)).mean()).backward()  # foreign_backward
    actor_optimizer.step()
    actor_optimizer.zero_grad()


for _ in range(6):
    update(torch.randn(12, 3), torch.randn(12, 1), torch.randn(12, 1))
