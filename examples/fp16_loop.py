"""Mixed precision in float16, done right. graddebug finds: nothing.

The forward runs under autocast, the loss is scaled so that small gradients survive in float16, and the
scaler divides them again before the step. The gradients are cleared for each batch, and clipped, where that
is wanted, only after ``unscale_``.
"""

from __future__ import annotations

import torch
from digits import Classifier, batches
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

torch.manual_seed(0)
training, evaluation = batches()
model = Classifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)

for epoch in range(3):
    for images, labels in training:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            outputs = model(images)
            loss = cross_entropy(outputs, labels)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
    print(f"epoch {epoch}: loss {loss.item():.3f}")
