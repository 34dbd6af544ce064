"""GD607: a limit of 0 is to mean "off", and takes every gradient away.

Seen in: configurations in which 0 means no clipping
Parameters: weight, bias
"""

import torch
from torch import nn

CONFIG = {"lr": 0.05, "clip_value": 0.0, "steps": 6}


def train(config):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"])
    for _ in range(config["steps"]):
        x = torch.randn(8, 3)
        loss = (model(x) - x[:, :1]).square().mean()
        loss.backward()
        if config["clip_value"] is not None:
            nn.utils.clip_grad_value_(model.parameters(), config["clip_value"])  # clip
        optimizer.step()  # step
        optimizer.zero_grad()


train(CONFIG)
