"""GD413: generator and discriminator share an encoder, and both optimizers own and unscale it.

Seen in: a GAN whose discriminator looks through the generator's encoder; GradScaler's notes say unscale_
once
Parameters: encoder.bias, encoder.weight
"""

import torch
from torch import nn

torch.manual_seed(0)
encoder = nn.Linear(6, 8)
decoder, judge = nn.Linear(8, 6), nn.Linear(8, 1)
g_optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=1e-2)
d_optimizer = torch.optim.SGD([*encoder.parameters(), *judge.parameters()], lr=1e-2)
scaler = torch.amp.GradScaler("cpu", init_scale=512.0)
for _ in range(5):
    x = torch.randn(10, 6)
    with torch.autocast("cpu", torch.float16):
        code = encoder(x).relu()
        restored = decoder(code)
        loss = nn.functional.mse_loss(restored, x) + judge(code).float().square().mean()
    g_optimizer.zero_grad()
    d_optimizer.zero_grad()
    scaler.scale(loss).backward()
    for optimizer in (g_optimizer, d_optimizer):
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    scaler.step(g_optimizer)
    scaler.step(d_optimizer)
    scaler.update()
