"""GD209: actor and critic share a trunk, both optimizers own it, and one backward serves both.

Parameters: trunk.*
"""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(4, 16), nn.Tanh())
        self.actor = nn.Linear(16, 2)
        self.critic = nn.Linear(16, 1)

    def forward(self, states):
        features = self.trunk(states)
        return Categorical(logits=self.actor(features)), self.critic(features).squeeze(-1)


agent = Agent()
actor_optimizer = torch.optim.Adam([*agent.trunk.parameters(), *agent.actor.parameters()], lr=3e-3)
critic_optimizer = torch.optim.Adam([*agent.trunk.parameters(), *agent.critic.parameters()], lr=1e-2)
for _ in range(10):
    states, returns = torch.randn(12, 4), torch.randn(12)
    policy, values = agent(states)
    advantages = returns - values
    actions = policy.sample()
    loss = -(policy.log_prob(actions) * advantages.detach()).mean() + advantages.square().mean()
    actor_optimizer.zero_grad()
    critic_optimizer.zero_grad()
    loss.backward()  # backward
    actor_optimizer.step()  # first_step
    critic_optimizer.step()  # step
