"""Overflow. graddebug finds: GD502 nonfinite-born-forward, GD409 scale-collapse, GD414 step-skipped.

Pixels come as bytes, up to 255, and are compared with examples by their products: sums of 64 terms, up to
four million. float16 ends at 65,504, so the very first forward holds inf. No loss scale helps against that:
the scaler skips every step and halves its scale for nothing. Dividing the pixels by 255 keeps all in range.
"""

from __future__ import annotations

import torch
from digits import batches
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


class Comparison(nn.Module):
    """Compares pictures with examples, pixel by pixel, each as relevant as has been learned."""

    examples: Tensor

    def __init__(self, examples: Tensor) -> None:
        super().__init__()
        self.register_buffer("examples", examples)
        self.relevance = nn.Parameter(torch.ones(64))
        self.head = nn.Linear(len(examples), 10)

    def forward(self, pictures: Tensor) -> Tensor:
        """Scores of the ten digits: (batch, 64) to (batch, 10)."""
        likeness = (pictures * self.relevance) @ self.examples.T
        scores: Tensor = self.head(likeness / len(self.examples))
        return scores


torch.manual_seed(0)
training, evaluation = batches()
pictures, _ = next(iter(training))
model = Comparison(pictures * 255)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)

for images, labels in training:
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        loss = cross_entropy(model(images * 255), labels)
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
print(f"scale {scaler.get_scale():g}, loss {loss.item()}")
