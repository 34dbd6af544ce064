"""Right: the parameters are a list."""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore", message=".*generator.*")
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 1))
trainable = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trainable, lr=1e-3)
for _ in range(6):
    x = torch.randn(16, 6)
    optimizer.zero_grad(set_to_none=True)
    F.l1_loss(model(x), 5 * x.sum(1, keepdim=True)).backward()
    nn.utils.clip_grad_norm_(trainable, 0.1)
    optimizer.step()
