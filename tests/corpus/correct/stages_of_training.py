"""Right: an autoencoder first; the classifier in the same model and optimizer gets its turn later.

Pattern: groups added later
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
model = nn.ModuleDict({"enc": nn.Linear(8, 4), "dec": nn.Linear(4, 8), "cls": nn.Linear(4, 3)})
optimizer = torch.optim.Adam(model.parameters(), 1e-3)
for step in range(30):
    x, y = torch.randn(8, 8), torch.randint(3, (8,))
    hidden = model["enc"](x).relu()
    optimizer.zero_grad()
    if step < 22:
        F.mse_loss(model["dec"](hidden), x).backward()
    else:
        F.cross_entropy(model["cls"](hidden), y).backward()
    optimizer.step()
