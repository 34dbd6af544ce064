"""GD110: a trainer's micro-batch counter starts anew each epoch, while gradients of the last one are
pending.

Seen in: https://github.com/meta-pytorch/torchtune/pull/2745
"""

import torch
from torch import nn
from torch.nn import functional as F


class Trainer:
    def __init__(self, model, accumulate):
        self.model, self.accumulate = model, accumulate
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def epoch(self, batches):
        for index, (image, label) in enumerate(batches):
            loss = F.cross_entropy(self.model(image), label) / self.accumulate
            loss.backward()
            if (index + 1) % self.accumulate == 0:
                self.optimizer.step()  # step
                self.optimizer.zero_grad()


torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
trainer = Trainer(model, accumulate=3)
data = [(torch.randn(2, 1, 8, 8), torch.randint(3, (2,))) for _ in range(10)]
for _ in range(6):
    trainer.epoch(data)
