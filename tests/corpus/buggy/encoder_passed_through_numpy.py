"""GD303: the encoder's own loss is computed from a copy that went through numpy, so only the probe gets a
gradient.

Seen in: BOP19_CDPN#4
Parameters: encoder.bias, encoder.weight
"""

import torch
from torch import nn

torch.manual_seed(0)
encoder, probe = nn.Linear(10, 3), nn.Linear(3, 10)
encoder_optimizer = torch.optim.SGD(encoder.parameters(), lr=0.05)
probe_optimizer = torch.optim.SGD(probe.parameters(), lr=0.05)
for _ in range(5):
    x = torch.randn(32, 10)
    code = torch.from_numpy(encoder(x).detach().numpy())
    loss = nn.functional.mse_loss(probe(code), x)
    encoder_optimizer.zero_grad()
    probe_optimizer.zero_grad()
    loss.backward()  # backward
    probe_optimizer.step()
    encoder_optimizer.step()  # step
