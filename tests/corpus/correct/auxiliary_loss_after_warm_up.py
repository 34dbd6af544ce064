"""Right: an auxiliary head runs from the start and enters the loss later.

Pattern: groups added later
"""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.main, self.aux = nn.Linear(5, 8), nn.Linear(8, 3), nn.Linear(8, 2)

    def forward(self, x):
        hidden = self.body(x).relu()
        return self.main(hidden), self.aux(hidden)


torch.manual_seed(0)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), 1e-2)
for epoch in range(4):
    for _ in range(4):
        x, y = torch.randn(8, 5), torch.randint(2, (8,))
        main, aux = net(x)
        loss = F.cross_entropy(main, y)
        if epoch >= 2:
            loss = loss + 0.1 * F.cross_entropy(aux, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
