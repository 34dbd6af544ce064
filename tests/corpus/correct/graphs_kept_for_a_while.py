"""Right: a short deque of losses for a smooth curve, log-probabilities until an episode's end, a replay buffer."""

from collections import deque

import torch
from torch import nn

torch.manual_seed(0)
policy = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 2))
value = nn.Linear(3, 1)
actor = torch.optim.Adam(policy.parameters(), lr=1e-2)
critic = torch.optim.SGD(value.parameters(), lr=1e-2)
recent, replay, epoch = deque(maxlen=10), [], []

for episode in range(30):
    saved = []
    for _ in range(9):
        state = torch.randn(3)
        distribution = torch.distributions.Categorical(logits=policy(state))
        action = distribution.sample()
        saved.append(distribution.log_prob(action))
        replay.append((state, policy(state).detach()))
    loss = -torch.stack(saved).mean() * (episode % 3 - 1)
    actor.zero_grad()
    loss.backward()
    actor.step()
    recent.append(loss)

    states = torch.stack([state for state, _ in replay[-8:]])
    error = (value(states) - states.sum(1, keepdim=True)).square().mean()
    epoch.append(error)
    critic.zero_grad()
    error.backward()
    critic.step()
    if episode % 5 == 4:
        print(sum(epoch).item() / len(epoch), sum(recent).item() / len(recent))
        epoch.clear()
