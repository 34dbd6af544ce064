"""Right: the optimizer was given a teacher, too, that runs under no_grad and is averaged from the student.

Seen in: CORRECT.md, teachers run under no_grad in train mode.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Distilled(nn.Module):
    def __init__(self):
        super().__init__()
        self.student = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 4))
        self.teacher = copy.deepcopy(self.student)

    def forward(self, view, other):
        with torch.no_grad():
            target = self.teacher(other).softmax(-1)
        return F.cross_entropy(self.student(view), target)

    @torch.no_grad()
    def average(self, share=0.9):
        for slow, fast in zip(self.teacher.parameters(), self.student.parameters()):
            slow.mul_(share).add_(fast, alpha=1 - share)


model = Distilled()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for _ in range(30):
    x = torch.randn(16, 6)
    loss = model(x + 0.1 * torch.randn_like(x), x + 0.1 * torch.randn_like(x))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    model.average()
