"""GD204: one head runs but its output never reaches the loss.

Seen in: https://github.com/guopengf/FL-MRCM/issues/10
Parameters: extra.bias, extra.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.head, self.extra = nn.Linear(4, 8), nn.Linear(8, 2), nn.Linear(8, 2)

    def forward(self, x):
        hidden = F.relu(self.body(x))
        return self.head(hidden), self.extra(hidden).detach()


model = Model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(6):
    x, y = batch()
    optimizer.zero_grad()
    main, extra = model(x)
    (F.cross_entropy(main, y) + 0.1 * F.cross_entropy(extra, y)).backward()
    optimizer.step()
