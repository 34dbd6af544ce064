"""The usual fp16 loop, zero_grad forgotten. graddebug finds: GD101 stale-gradient.

This is how mixed precision is often printed: autocast, ``scale``, ``step``, ``update``. The line that is not
about precision is left out, and so every step applies the gradients of all batches so far, whatever the
scaler does to them. ``fp16_loop.py`` is the whole loop.
"""

from __future__ import annotations

import torch
from digits import Classifier, batches
from torch.nn.functional import cross_entropy

torch.manual_seed(0)
training, evaluation = batches()
model = Classifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)

for epoch in range(3):
    for images, labels in training:
        with torch.autocast("cpu", dtype=torch.float16):
            outputs = model(images)
            loss = cross_entropy(outputs, labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    print(f"epoch {epoch}: loss {loss.item():.3f}")
