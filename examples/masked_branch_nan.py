"""A NaN that no forward shows. graddebug finds: GD503 masked-branch-nan.

``where`` takes the root only where a pixel is not black, and the loss is fine. But its backward sends a
gradient of 0 into the root of the black pixels, whose slope is infinite, and 0 times inf is NaN: one step
later all weights are. The input has to be safe before the root is taken:
``torch.where(lit, brightness, 1.0).sqrt()``, and then ``where`` again.
"""

from __future__ import annotations

import torch
from digits import Classifier, batches
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


class Lightened(nn.Module):
    """A classifier of pictures whose pixels have been lightened by a root, with a learned gain."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(64))
        self.classifier = Classifier()

    def forward(self, images: Tensor) -> Tensor:
        """Scores of the ten digits: (batch, 64) to (batch, 10)."""
        brightness = images * self.gain.exp()
        lit = torch.where(images > 0, brightness.sqrt(), 0.0)
        scores: Tensor = self.classifier(lit)
        return scores


torch.manual_seed(0)
training, evaluation = batches()
model = Lightened()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

for images, labels in training:
    optimizer.zero_grad()
    loss = cross_entropy(model(images), labels)
    loss.backward()
    optimizer.step()
print(f"loss {loss.item():.3f}")
