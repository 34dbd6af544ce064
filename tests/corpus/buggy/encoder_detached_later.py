"""GD205: from step 12 on the features are detached, and the encoder stands still while the head learns.

Seen in: warm-up flags that were meant for a target and stayed in the training path.
Parameters: encoder.*
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8))
        self.head = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x, detach):
        features = self.encoder(x)
        return self.head(features.detach() if detach else features)


model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
inputs, labels = torch.randn(64, 6), torch.randint(3, (64,))
for step in range(36):
    chosen = torch.randint(64, (16,))
    loss = F.cross_entropy(model(inputs[chosen], detach=step >= 12), labels[chosen])
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
