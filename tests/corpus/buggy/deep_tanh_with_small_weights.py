"""GD508: ten tanh layers with weights that are too small pass on less and less.

Seen in: Glorot and Bengio (2010)
Parameters: layers.0.weight, layers.1.weight, layers.2.weight, layers.3.weight
"""

import torch
from torch import nn
from torch.nn import functional as F


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(12, 12) for _ in range(10)])
        for layer in self.layers:
            nn.init.normal_(layer.weight, std=0.05)
        self.out = nn.Linear(12, 3)

    def forward(self, x):
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.out(x)


torch.manual_seed(0)
deep = Deep()
optimizer = torch.optim.Adam(deep.parameters(), lr=1e-4)
for _ in range(40):
    x = torch.randn(24, 12)
    optimizer.zero_grad()
    F.cross_entropy(deep(x), x[:, :3].argmax(1)).backward()  # backward
    optimizer.step()  # step
