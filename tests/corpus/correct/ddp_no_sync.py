"""Right: accumulation under DistributedDataParallel, whose no_sync() leaves all but the last backward alone.

Pattern: no_sync
"""

import contextlib
import tempfile

import torch
from torch import distributed, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

torch.manual_seed(0)
with tempfile.NamedTemporaryFile() as meeting:
    distributed.init_process_group("gloo", init_method=f"file://{meeting.name}", rank=0, world_size=1)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(5, 9), nn.ReLU(), nn.Linear(9, 2)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(4):
        optimizer.zero_grad()
        for micro in range(3):
            with model.no_sync() if micro < 2 else contextlib.nullcontext():
                x = torch.randn(6, 5)
                (F.cross_entropy(model(x), (x[:, 0] > 0).long()) / 3).backward()
        optimizer.step()
    distributed.destroy_process_group()
