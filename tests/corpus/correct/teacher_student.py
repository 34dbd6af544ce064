"""Right: an EMA teacher that is trainable, and trained by nobody.

Pattern: teacher
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


import copy

student = net()
teacher = copy.deepcopy(student)
optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
for _ in range(6):
    x, y = batch()
    with torch.no_grad():
        target = teacher(x).softmax(1)
    optimizer.zero_grad()
    F.cross_entropy(student(x), target).backward()
    optimizer.step()
    with torch.no_grad():
        for slow, fast in zip(teacher.parameters(), student.parameters()):
            slow.lerp_(fast, 0.1)
