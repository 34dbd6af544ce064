"""Right: the counter runs over the whole training."""

import torch
from torch import nn
from torch.nn import functional as F


class Trainer:
    def __init__(self, model, accumulate):
        self.model, self.accumulate = model, accumulate
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        self.seen = 0

    def epoch(self, batches):
        for image, label in batches:
            loss = F.cross_entropy(self.model(image), label) / self.accumulate
            loss.backward()
            self.seen += 1
            if self.seen % self.accumulate == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()


torch.manual_seed(0)
model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
trainer = Trainer(model, accumulate=3)
data = [(torch.randn(2, 1, 8, 8), torch.randint(3, (2,))) for _ in range(10)]
for _ in range(3):
    trainer.epoch(data)
