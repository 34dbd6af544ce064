"""GD606: the loss is a sum over the batch, and the limit one for a mean.

Seen in: a change of the reduction that left the limit as it was
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 8, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.rnn(x)[0])


def train(model, steps):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        series = torch.randn(16, 12, 3).cumsum(1)
        loss = F.mse_loss(model(series[:, :-1]), series[:, 1:], reduction="sum")
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 25.0)  # clip
        optimizer.step()
        optimizer.zero_grad()


train(Model(), 30)
