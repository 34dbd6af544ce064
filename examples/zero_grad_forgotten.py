"""zero_grad forgotten. graddebug finds: GD101 stale-gradient.

``backward()`` adds to ``.grad``, it does not replace it. Without ``optimizer.zero_grad()`` each step
applies the gradients of all batches so far. Nothing raises; the loss just climbs.
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
        loss = cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.3f}")
