"""GD208: the optimizer is built over the frozen network, before the new head (of another size) is put on.

Seen in: transfer learning, with the two lines the wrong way round.
Parameters: model.features.0.bias, model.features.0.weight, optimizer.params[2], optimizer.params[3]
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Pretrained(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.fc = nn.Linear(6, 10)

    def forward(self, images):
        return self.fc(self.features(images))


model = Pretrained()
model.requires_grad_(False)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model.fc = nn.Linear(6, 2)
for _ in range(8):
    images, labels = torch.randn(4, 3, 8, 8), torch.randint(2, (4,))
    loss = F.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()  # backward
    optimizer.step()  # step
