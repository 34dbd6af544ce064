"""Right: a trainer with a wrapper around optimizer and scaler."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def net(width=8):
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def batch(size=6):
    return torch.randn(size, 4), torch.randint(2, (size,))


def loss_of(model, x, y):
    with torch.autocast("cpu", torch.float16):
        return F.cross_entropy(model(x), y)


model = net()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)


class Stepper:
    def __init__(self, optimizer, scaler):
        self.optimizer, self.scaler = optimizer, scaler
        self.param_groups = optimizer.param_groups

    def backward(self, loss, **kwargs):
        self.scaler.scale(loss).backward(**kwargs)

    def clip(self, parameters):
        self.scaler.unscale_(self)
        nn.utils.clip_grad_norm_(parameters, 1.0)

    def step(self, *args, **kwargs):
        return self.optimizer.step(*args, **kwargs)

    def finish(self):
        self.scaler.step(self)
        self.scaler.update()
        self.optimizer.zero_grad()


stepper = Stepper(optimizer, scaler)
for _ in range(25):
    x, y = batch()
    stepper.backward(loss_of(model, x, y))
    stepper.clip(model.parameters())
    stepper.finish()
