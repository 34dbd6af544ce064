"""GD406: gradients are unscaled after the first micro-batch, to log their norm, and the second adds scaled
ones.

Seen in: https://github.com/huggingface/accelerate/issues/641
Parameters: 0.bias, 0.weight, 3.bias, 3.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.GELU(), nn.Flatten(), nn.Linear(4 * 10, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
for _ in range(4):
    optimizer.zero_grad(set_to_none=True)
    for micro in range(2):
        signal, label = torch.randn(3, 2, 12), torch.randint(2, (3,))
        with torch.autocast("cpu", torch.float16):
            loss = F.cross_entropy(net(signal), label) / 2
        scaler.scale(loss).backward()  # backward
        if micro == 0:
            scaler.unscale_(optimizer)  # unscale
            print(f"{nn.utils.get_total_norm([p.grad for p in net.parameters()]):.4f}")
    scaler.step(optimizer)  # step
    scaler.update()
