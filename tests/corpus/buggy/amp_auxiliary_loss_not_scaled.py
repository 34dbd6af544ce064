"""GD402: of two losses with a backward each, only one is scaled.

Seen in: Lightning#4148, with a loss of its own
Parameters: encoder.bias, encoder.weight, optimizer.params[4], optimizer.params[5]
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
encoder = nn.Conv1d(6, 8, 3, padding=1)
main, auxiliary = nn.Linear(8, 3), nn.Linear(8, 6)
parameters = [p for part in (encoder, main, auxiliary) for p in part.parameters()]
optimizer = torch.optim.AdamW(parameters, lr=1e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
for _ in range(6):
    x, y = torch.randn(4, 6, 5), torch.randint(3, (4,))
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        hidden = encoder(x)
        main_loss = F.cross_entropy(main(hidden[:, :, -1]), y)
    scaler.scale(main_loss).backward()
    with torch.autocast("cpu", torch.float16):
        auxiliary_loss = F.smooth_l1_loss(auxiliary(encoder(x).mT), x.mT)
    auxiliary_loss.backward()  # backward
    scaler.step(optimizer)  # step
    scaler.update()
