"""A backbone nobody clears. graddebug finds: GD201 parameter-without-optimizer.

Only the head is to be trained, so only the head is given to the optimizer. But the backbone still
requires grad: every ``backward()`` adds to its gradients, and ``optimizer.zero_grad()`` clears only what
the optimizer owns. The sums grow unseen, until somebody trains the backbone after all or clips by the
norm of the whole model. ``backbone_frozen_later.py`` is the same idea done right.
"""

from __future__ import annotations

import torch
from digits import Classifier, batches
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
training, evaluation = batches()
model = Classifier()
optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1, momentum=0.9)

for epoch in range(2):
    for images, labels in training:
        optimizer.zero_grad()  # the head's gradients only: model.zero_grad() would clear all
        loss = cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.3f}")
