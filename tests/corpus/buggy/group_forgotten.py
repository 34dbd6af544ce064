"""GD201: one group of parameters never made it into the optimizer.

Seen in: HVPNeT#5
Parameters: encoder.bias, encoder.weight
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
        self.encoder = nn.Linear(4, 8)
        self.decoder = nn.Linear(8, 2)

    def forward(self, x):
        return self.decoder(F.relu(self.encoder(x)))


model = Model()
optimizer = torch.optim.Adam(model.decoder.parameters(), lr=1e-2)
for _ in range(6):
    x, y = batch()
    model.zero_grad()
    F.cross_entropy(model(x), y).backward()
    optimizer.step()
