"""GD405: update() after each optimizer's step; the second one's gradients carry the scale before it.

Seen in: https://github.com/HorizonRobotics/alf/pull/1780
Parameters: teacher.0.bias, teacher.0.weight, teacher.2.bias, teacher.2.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def loss_of(model, x, y):
    with torch.autocast("cpu", torch.float16):
        return F.cross_entropy(model(x), y)


student, teacher = net(), net()
first = torch.optim.SGD(student.parameters(), lr=0.01)
second = torch.optim.AdamW(teacher.parameters(), lr=0.01, fused=True)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0, growth_interval=1)
for _ in range(5):
    x, y = torch.randn(6, 4), torch.randint(2, (6,))
    first.zero_grad()
    second.zero_grad()
    scaler.scale(loss_of(student, x, y) + loss_of(teacher, x, y)).backward()  # backward
    scaler.step(first)
    scaler.update()  # update
    scaler.step(second)  # step
    scaler.update()
