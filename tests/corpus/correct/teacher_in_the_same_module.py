"""Right: a frozen teacher and its student live in one ModuleDict; the optimizer owns the student.

Pattern: teacher
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
nets = nn.ModuleDict(
    {
        "teacher": nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 4)),
        "student": nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)),
    }
)
nets["teacher"].eval()
optimizer = torch.optim.Adam(nets["student"].parameters(), lr=1e-3)
for _ in range(10):
    x = torch.randn(16, 6)
    with torch.no_grad():
        target = F.softmax(nets["teacher"](x) / 2, dim=-1)
    loss = F.kl_div(F.log_softmax(nets["student"](x) / 2, dim=-1), target, reduction="batchmean")
    nets.zero_grad()
    loss.backward()
    optimizer.step()
