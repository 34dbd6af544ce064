"""GD207: a model cast to bfloat16 whole, and Adam's steps of 1e-5: nearly all of them are rounded away.

Seen in: torchao PR 1124, OneTrainer issue 996, ml-by-hand PR 85 (0 of 768 weights moved)
Parameters: 0.*, 1.*, 2.*
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Block(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.norm(x)).chunk(3, dim=-1)
        return x + self.out(F.scaled_dot_product_attention(q, k, v))


model = nn.Sequential(Block(), Block(), nn.Linear(16, 4)).bfloat16()
for weights in model.parameters():
    nn.init.uniform_(weights, 0.1, 0.3)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0)
for _ in range(12):
    tokens, labels = torch.randn(8, 5, 16, dtype=torch.bfloat16), torch.randint(4, (8,))
    loss = F.cross_entropy(model(tokens).mean(1).float(), labels)
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
