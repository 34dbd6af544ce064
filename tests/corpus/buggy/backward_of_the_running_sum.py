"""GD306: backward runs on the sum of all losses so far instead of on that of this batch.

Seen in: MNMT#7
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
words, width = 30, 6
embedding = nn.EmbeddingBag(words, width)
optimizer = torch.optim.SGD(embedding.parameters(), lr=0.1)
targets = torch.randn(words, width)

total = 0
for batch in range(12):
    ids = torch.randint(words, (8, 3))
    total = total + F.mse_loss(embedding(ids), targets[ids].mean(1))  # carried
    optimizer.zero_grad()
    total.backward(retain_graph=True)  # backward
    optimizer.step()
print(f"mean loss {total.item() / 12:.3f}")
