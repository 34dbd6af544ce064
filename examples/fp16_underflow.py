"""Gradients too small for float16. graddebug finds: GD410 half-without-scaler.

The loss is a mean over all pixels of all pictures, so each element's gradient is about a millionth: below
what float16 can hold, and most of it becomes 0 on the way down. Training crawls, and nothing says why. A
``torch.amp.GradScaler`` multiplies the loss, and with it every gradient, into the range of float16.
"""

from __future__ import annotations

import torch
from digits import batches
from torch import nn
from torch.nn.functional import mse_loss

torch.manual_seed(0)
training, evaluation = batches(size=1500)
model = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 16), nn.Tanh(), nn.Linear(16, 64))
optimizer = torch.optim.Adam(model.parameters(), lr=0.001)

for epoch in range(3):
    for images, _ in training:
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            restored = model(images)
        loss = mse_loss(restored.float(), images)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
