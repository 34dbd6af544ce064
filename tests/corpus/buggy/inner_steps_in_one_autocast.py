"""GD313: several PPO-like epochs over one batch, all in the autocast region that the batch was acted in.

Parameters: policy.*
"""

import torch
from torch import nn

torch.manual_seed(0)


class Agent(nn.Module):
    def __init__(self):
        super().__init__()
        self.policy = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, states):
        return torch.distributions.Categorical(logits=self.policy(states).float())


def update(agent, optimizer, states, actions, advantages, old):
    for _ in range(3):
        ratio = (agent(states).log_prob(actions) - old).exp()
        loss = -torch.min(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages).mean()
        optimizer.zero_grad(set_to_none=False)
        loss.backward()  # backward
        optimizer.step()  # step


agent = Agent()
optimizer = torch.optim.SGD(agent.parameters(), lr=0.05, momentum=0.9)
for _ in range(4):
    states, advantages = torch.randn(16, 5), torch.randn(16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with torch.no_grad():
            actions = agent(states).sample()
            old = agent(states).log_prob(actions)
        update(agent, optimizer, states, actions, advantages, old)
