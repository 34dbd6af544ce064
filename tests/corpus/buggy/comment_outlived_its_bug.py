"""GD001: the loop clears its gradients by now, and a comment still acknowledges that it does not."""

import torch
from torch import nn


class Trainer:
    def __init__(self):
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 1))
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=1e-2)

    def train_step(self, x, y):
        loss = nn.functional.mse_loss(self.net(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()  # graddebug: ignore[GD101] accumulates over the whole epoch  # comment
        return loss.item()


trainer = Trainer()
x = torch.randn(64, 6)
y = x.sum(1, keepdim=True)
for epoch in range(5):
    for batch in range(0, 64, 16):
        trainer.train_step(x[batch : batch + 16], y[batch : batch + 16])
