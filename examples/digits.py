"""The handwritten digits that ship with scikit-learn, and a small network for them."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

TRAINING = 1500  # of 1,797 images, the rest is for evaluation


def batches(size: int = 50) -> tuple[DataLoader[tuple[Tensor, ...]], DataLoader[tuple[Tensor, ...]]]:
    """Training batches in shuffled order, and evaluation batches, of ``size`` images of 8 by 8 pixels."""
    digits = load_digits()
    images = torch.tensor(digits.data / 16, dtype=torch.float32)
    labels = torch.tensor(digits.target, dtype=torch.int64)
    training = TensorDataset(images[:TRAINING], labels[:TRAINING])
    evaluation = TensorDataset(images[TRAINING:], labels[TRAINING:])
    return DataLoader(training, batch_size=size, shuffle=True), DataLoader(evaluation, batch_size=size)


class Classifier(nn.Module):
    """A backbone that sees shapes and a head that names digits."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 32), nn.ReLU())
        self.head = nn.Linear(32, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Scores of the ten digits for each image: (batch, 64) to (batch, 10)."""
        scores: Tensor = self.head(self.backbone(images))
        return scores
