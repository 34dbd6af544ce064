"""Right: the encoder's output stays in torch."""

import torch
from torch import nn

torch.manual_seed(0)
encoder, probe = nn.Linear(10, 3), nn.Linear(3, 10)
encoder_optimizer = torch.optim.SGD(encoder.parameters(), lr=0.05)
probe_optimizer = torch.optim.SGD(probe.parameters(), lr=0.05)
for _ in range(5):
    x = torch.randn(32, 10)
    code = encoder(x)
    loss = nn.functional.mse_loss(probe(code), x)
    encoder_optimizer.zero_grad()
    probe_optimizer.zero_grad()
    loss.backward()
    probe_optimizer.step()
    encoder_optimizer.step()
