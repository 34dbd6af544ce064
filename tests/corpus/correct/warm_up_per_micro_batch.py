"""Right: the schedule that is planned in steps moves with each step."""

import torch
from torch import nn

torch.manual_seed(0)


class Trainer:
    def __init__(self, steps, micro_batches):
        self.model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=steps)
        self.steps, self.micro_batches = steps, micro_batches

    def fit(self):
        for _ in range(self.steps):
            self.optimizer.zero_grad()
            for _ in range(self.micro_batches):
                x = torch.randn(2, 5, 8)
                loss = (self.model(x) - x.flip(1)).square().mean() / self.micro_batches
                loss.backward()
            self.optimizer.step()
            self.schedule.step()


Trainer(steps=8, micro_batches=3).fit()
