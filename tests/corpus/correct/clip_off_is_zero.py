"""Right: a limit of None means that the clip is not called."""

import torch
from torch import nn

CONFIG = {"lr": 0.05, "clip_value": None, "steps": 6}


def train(config):
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=config["lr"])
    for _ in range(config["steps"]):
        x = torch.randn(8, 3)
        loss = (model(x) - x[:, :1]).square().mean()
        loss.backward()
        if config["clip_value"] is not None:
            nn.utils.clip_grad_value_(model.parameters(), config["clip_value"])
        optimizer.step()
        optimizer.zero_grad()


train(CONFIG)
