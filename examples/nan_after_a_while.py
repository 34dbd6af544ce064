"""Well for 812 steps. graddebug finds: GD501 nonfinite-born-backward, GD505 nonfinite-gradient-consumed.

Pairs of digits are drawn at random; those of the same digit are pulled together. At step 812 a picture is
drawn as its own partner. Their distance is the root of exactly 0, whose slope is infinite, and all weights
are NaN from then on. ``torch.linalg.vector_norm`` has a slope of 0 there.
"""

from __future__ import annotations

import torch
from digits import batches
from torch import nn

torch.manual_seed(0)
training, evaluation = batches(size=1500)
images, labels = next(iter(training))
embed = nn.Sequential(nn.Linear(64, 32), nn.Tanh(), nn.Linear(32, 8))
optimizer = torch.optim.SGD(embed.parameters(), lr=0.05)

torch.manual_seed(2163)  # this one meets it at step 812
for step in range(900):
    left, right = torch.randint(len(images), (2, 4))
    distance = (embed(images[left]) - embed(images[right])).square().sum(dim=1).sqrt()
    alike = labels[left] == labels[right]
    loss = torch.where(alike, distance, (1 - distance).relu()).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 0:
        print(f"step {step}: loss {loss.item():.3f}")
