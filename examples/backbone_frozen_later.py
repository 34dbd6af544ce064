"""Train all, then freeze the backbone. graddebug finds: nothing.

``model.zero_grad()`` clears every parameter of the model, whoever owns it, so no gradient of the first
half is left in the backbone. ``requires_grad_(False)`` then keeps new ones from being computed.
"""

from __future__ import annotations

import torch
from digits import Classifier, batches
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
training, evaluation = batches()
model = Classifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

for epoch in range(4):
    if epoch == 2:
        model.zero_grad()
        model.backbone.requires_grad_(False)
        optimizer = torch.optim.SGD(model.head.parameters(), lr=0.1, momentum=0.9)
    for images, labels in training:
        model.zero_grad()
        loss = cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.3f}")
