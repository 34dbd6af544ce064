"""Right: softmaxes inside of a model and beside its loss: attention, a mixture, soft targets, log of softmax."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Mixture(nn.Module):
    def __init__(self):
        super().__init__()
        self.query = nn.Linear(6, 6)
        self.gate = nn.Linear(6, 3)
        self.heads = nn.ModuleList(nn.Linear(6, 4) for _ in range(3))

    def forward(self, x):
        attention = F.softmax(self.query(x) @ x.mT, dim=-1)
        x = (attention @ x).mean(1)
        weights = F.softmax(self.gate(x), dim=-1)
        scores = torch.stack([head(x) for head in self.heads], dim=1)
        return scores, weights


student, teacher = Mixture(), Mixture()
optimizer = torch.optim.AdamW(student.parameters(), lr=1e-2)
for _ in range(6):
    x, y = torch.randn(8, 5, 6), torch.randint(4, (8,))
    scores, weights = student(x)
    with torch.no_grad():
        soft, _ = teacher(x)
    optimizer.zero_grad()
    mixed = (weights[:, :, None] * F.softmax(scores, dim=-1)).sum(1)
    supervised = F.nll_loss(torch.log(mixed + 1e-6), y)
    distilled = F.kl_div(
        F.log_softmax(scores[:, 0], dim=-1), F.softmax(soft[:, 0], dim=-1), reduction="batchmean"
    )
    redundant = F.cross_entropy(F.log_softmax(scores[:, 1], dim=-1), y)
    (supervised + distilled + redundant).backward()
    optimizer.step()
