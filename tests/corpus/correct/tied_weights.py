"""Right: the embedding is the output layer too.

Pattern: tied weights
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.out = nn.Embedding(10, 8), nn.Linear(8, 10, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, tokens):
        return self.out(self.embed(tokens))


model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
for _ in range(5):
    tokens = torch.randint(10, (4, 6))
    optimizer.zero_grad()
    F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
    optimizer.step()
