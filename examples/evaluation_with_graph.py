"""Evaluation without no_grad. graddebug finds: GD304 graph-without-backward.

``model.eval()`` switches dropout and batch norm; it does not stop autograd. Every evaluation forward
still builds a graph and keeps its tensors for a ``backward()`` that never comes.
"""

from __future__ import annotations

import torch
from digits import Classifier, batches
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
training, evaluation = batches()
model = Classifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

for epoch in range(2):
    model.train()
    for images, labels in training:
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()
    model.eval()
    right = 0
    for images, labels in evaluation:
        right += int((model(images).argmax(dim=1) == labels).sum())
    print(f"epoch {epoch}: {right} digits right")
