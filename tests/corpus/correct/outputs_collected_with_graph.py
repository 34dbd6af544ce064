"""Right: a trainer collects outputs for its plots without their graphs."""

from collections import defaultdict

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(8, 3)
        self.decoder = nn.Linear(3, 8)

    def forward(self, x):
        code = torch.tanh(self.encoder(x))
        return self.decoder(code), code


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        self.history = defaultdict(list)

    def step(self, x):
        recon, code = self.model(x)
        loss = F.mse_loss(recon, x) + 1e-3 * code.abs().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.history["codes"].append(code.detach())
        self.history["losses"].append(loss.item())


trainer = Trainer(Autoencoder())
for _ in range(20):
    trainer.step(torch.randn(6, 8))
print(len(trainer.history["codes"]))
