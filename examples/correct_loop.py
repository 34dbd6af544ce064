"""A correct loop: forward, backward, step. graddebug finds: nothing.

Each batch clears the gradients, writes fresh ones in ``backward()`` and uses them once in ``step()``.
"""

from __future__ import annotations

import torch
from digits import Classifier, batches
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
training, evaluation = batches()
model = Classifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

for epoch in range(3):
    for images, labels in training:
        optimizer.zero_grad()
        loss = cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.3f}")
