"""Right: the weights stay in float32, where steps of 1e-5 count, and autocast computes in bfloat16."""

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


model = nn.Sequential(Block(), Block(), nn.Linear(16, 4))
for weights in model.parameters():
    nn.init.uniform_(weights, 0.1, 0.3)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.0)
for _ in range(12):
    tokens, labels = torch.randn(8, 5, 16), torch.randint(4, (8,))
    with torch.autocast("cpu", torch.bfloat16):
        scores = model(tokens).mean(1)
    loss = F.cross_entropy(scores.float(), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
