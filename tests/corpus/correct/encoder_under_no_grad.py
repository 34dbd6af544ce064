"""Right: the encoder runs under no_grad for the negatives only; the positives train it."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv1d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 6))
        self.head = nn.Linear(12, 1)

    def forward(self, one, other):
        with torch.no_grad():
            fixed = self.encoder(other)
        features = torch.cat([self.encoder(one), fixed], dim=1)
        return self.head(features).squeeze(1)


model = Siamese()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for _ in range(10):
    one, other, same = torch.randn(8, 1, 8), torch.randn(8, 1, 8), torch.rand(8).round()
    optimizer.zero_grad()
    loss = F.binary_cross_entropy_with_logits(model(one, other), same)
    loss.backward()
    optimizer.step()
