"""GD305: the running loss for the log is a sum of tensors.

Seen in: horovod PR#641, brax PR#152, ray PR#40940, labelmodels#4
"""

import torch
from torch import nn

torch.manual_seed(0)


def run_epoch(model, batches, criterion, optimizer):
    running_loss = 0.0
    for x, y in batches:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        running_loss += loss  # kept
    return running_loss / len(batches)


model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
batches = [(torch.randn(5, 2, 6), torch.randint(3, (5,))) for _ in range(10)]
for epoch in range(2):
    mean = run_epoch(model, batches, nn.CrossEntropyLoss(), optimizer)
    print(f"{epoch}: {mean:.3f}")
