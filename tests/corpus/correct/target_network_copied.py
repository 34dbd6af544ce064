"""Right: DQN as short programs have it: the target is not detached, and copied only now and then.

Pattern: target network
"""

import torch
from torch import nn
from torch.nn import functional as F


class Q(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(4, 16), nn.Linear(16, 2)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


torch.manual_seed(0)
q, q_target = Q(), Q()
q_target.load_state_dict(q.state_dict())
optimizer = torch.optim.Adam(q.parameters(), lr=1e-3)
for i in range(24):
    s, a, r, following = torch.randn(8, 4), torch.randint(2, (8, 1)), torch.randn(8, 1), torch.randn(8, 4)
    target = r + 0.98 * q_target(following).max(1)[0].unsqueeze(1)
    loss = F.smooth_l1_loss(q(s).gather(1, a), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if i % 10 == 9:
        q_target.load_state_dict(q.state_dict())
