"""Right: from step 12 on the encoder is frozen, and says so: its parameters do not require grad."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8))
        self.head = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x):
        return self.head(self.encoder(x))


model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
inputs, labels = torch.randn(64, 6), torch.randint(3, (64,))
for step in range(36):
    if step == 12:
        model.encoder.requires_grad_(False)
    chosen = torch.randint(64, (16,))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(inputs[chosen]), labels[chosen])
    loss.backward()
    optimizer.step()
