"""Right: backward runs on the loss of this batch, and the sum for the log holds numbers."""

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
    loss = F.mse_loss(embedding(ids), targets[ids].mean(1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
print(f"mean loss {total / 12:.3f}")
