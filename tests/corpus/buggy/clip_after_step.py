"""GD601: the trainer clips when the step has been taken.

Seen in: graphstorm#1366 (in five trainers)
Parameters: encoder.weight, encoder.bias, decoder.weight, decoder.bias
"""

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
        self.optimizer.step()  # step
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)  # clip
        return loss.item()


trainer = Trainer(Autoencoder())
for _ in range(6):
    trainer.train_step(torch.randn(16, 12))
