"""Right: a float16 model with float32 master weights; its loss is float32, its softmax need not be."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(4, 12)
        self.out = nn.Linear(4, 2)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        weights = (q @ k.transpose(-1, -2) / 2).softmax(-1)
        return self.out((weights @ v).mean(1))


model = Attention().half()
masters = [p.detach().float().requires_grad_() for p in model.parameters()]
optimizer = torch.optim.SGD(masters, lr=0.1)
for _ in range(8):
    model.zero_grad()
    x, y = torch.randn(6, 5, 4), torch.randint(2, (6,))
    loss = F.cross_entropy(model(x.half()).float(), y)
    (loss * 128).backward()
    for master, p in zip(masters, model.parameters()):
        master.grad = p.grad.float() / 128
    optimizer.step()
    with torch.no_grad():
        for master, p in zip(masters, model.parameters()):
            p.copy_(master)
