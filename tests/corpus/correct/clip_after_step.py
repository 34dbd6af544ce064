"""Right: the trainer clips before the step."""

import torch
from torch import nn

torch.manual_seed(0)


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(12, 3)
        self.decoder = nn.Linear(3, 12)

    def forward(self, x):
        return self.decoder(torch.tanh(self.encoder(x)))


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)

    def train_step(self, x):
        self.optimizer.zero_grad()
        loss = ((self.model(x) - x) ** 2).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()


trainer = Trainer(Autoencoder())
for _ in range(6):
    trainer.train_step(torch.randn(16, 12))
