"""Right: the hidden state is detached between steps: truncated back-propagation through time."""

import torch
from torch import nn

torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(4, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, x, state):
        state = self.cell(x, state)
        return self.out(state), state


model = Tagger()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
state = torch.zeros(5, 8)
for _ in range(14):
    x, y = torch.randn(5, 4), torch.randint(3, (5,))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out, state = model(x, state.detach())
        loss = nn.functional.cross_entropy(out, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
