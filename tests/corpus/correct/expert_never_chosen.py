"""Right: one of alike experts is not chosen: the others show that its path is whole.

Pattern: sparse activation
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
experts = nn.ModuleList(nn.Linear(4, 2) for _ in range(3))
router = nn.Linear(4, 3)
nn.init.constant_(router.bias, 0.0)
router.bias.data[2] = -100.0
model = nn.ModuleDict({"router": router, "experts": experts})
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(40):
    x, y = torch.randn(16, 4), torch.randint(2, (16,))
    gates = router(x).softmax(1)
    chosen = F.one_hot(gates.argmax(1), 3) * gates
    out = sum(chosen[:, k : k + 1] * expert(x) for k, expert in enumerate(experts))
    optimizer.zero_grad()
    F.cross_entropy(out, y).backward()
    optimizer.step()
