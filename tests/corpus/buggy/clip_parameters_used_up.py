"""GD603: the parameters are a generator, which the optimizer has walked to its end.

Seen in: https://github.com/pytorch/pytorch/issues/148259
Parameters: 0.weight, 0.bias, 2.weight, 2.bias
"""

import warnings

import torch
from torch import nn
from torch.nn import functional as F

warnings.filterwarnings("ignore", message=".*generator.*")
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 1))
trainable = filter(lambda p: p.requires_grad, model.parameters())
optimizer = torch.optim.AdamW(trainable, lr=1e-3)
for _ in range(6):
    x = torch.randn(16, 6)
    optimizer.zero_grad(set_to_none=True)
    F.l1_loss(model(x), 5 * x.sum(1, keepdim=True)).backward()
    nn.utils.clip_grad_norm_(trainable, 0.1)  # clip
    optimizer.step()  # step
