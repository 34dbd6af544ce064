"""GD607: a limit of -1 is to mean "off", and turns every gradient around.

Seen in: configurations in which -1 means no clipping
Parameters: *.weight, *.bias
"""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--clip", type=float, default=-1.0, help="-1: do not clip")
args = parser.parse_args([])

torch.manual_seed(0)
model = nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(6):
    signal, kind = torch.randn(8, 2, 10), torch.randint(2, (8,))
    optimizer.zero_grad()
    F.cross_entropy(model(signal), kind).backward()
    nn.utils.clip_grad_norm_(model.parameters(), args.clip)  # clip
    optimizer.step()  # step
