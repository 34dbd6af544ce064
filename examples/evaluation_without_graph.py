"""Evaluation under no_grad. graddebug finds: nothing.

``torch.no_grad()`` keeps the evaluation forwards from building graphs; ``model.eval()`` alone does not.
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
    with torch.no_grad():
        for images, labels in evaluation:
            right += int((model(images).argmax(dim=1) == labels).sum())
    print(f"epoch {epoch}: {right} digits right")
