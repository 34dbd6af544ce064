"""Right: an auxiliary head (it goes on running, as in GoogLeNet) is left out of the loss after a while.

Seen in: CORRECT.md, auxiliary losses that end.
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.auxiliary = nn.Sequential(nn.Flatten(), nn.Linear(4 * 36, 8), nn.ReLU(), nn.Linear(8, 3))
        self.body = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        hidden = F.relu(self.stem(x))
        deep = F.relu(self.body(hidden)).mean((2, 3))
        return self.head(deep), self.auxiliary(hidden)


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
for step in range(60):
    images, labels = torch.randn(8, 1, 6, 6), torch.randint(3, (8,))
    main, auxiliary = net(images)
    loss = F.cross_entropy(main, labels)
    if step < 20:
        loss = loss + 0.3 * F.cross_entropy(auxiliary, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
