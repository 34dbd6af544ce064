"""GD414: now and then a sequence is so long that the summed loss of it overflows at this scale.

Seen in: https://github.com/OpenMOSS/CoLLiE/pull/43 logs such norms
Parameters: out.bias, out.weight, rnn.bias_hh_l0, rnn.bias_ih_l0, rnn.weight_hh_l0, rnn.weight_ih_l0
"""

import torch
from torch import nn

torch.manual_seed(0)
rnn, out = nn.RNN(4, 8, batch_first=True), nn.Linear(8, 4)
optimizer = torch.optim.Adam([*rnn.parameters(), *out.parameters()], lr=1e-4)
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
for number in range(16):
    length = 700 if number % 8 == 5 else 10
    x = torch.randn(2, length, 4)
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        predicted = out(rnn(x)[0])
    loss = (predicted.float() - x).square().sum()
    scaler.scale(loss).backward()
    scaler.step(optimizer)  # step
    scaler.update()
