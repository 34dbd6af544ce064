"""Right: the clip finds what this batch has written."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

torch.manual_seed(0)


class Ranker(nn.Module):
    def __init__(self):
        super().__init__()
        self.users = nn.Embedding(20, 8)
        self.items = nn.Embedding(30, 8)

    def forward(self, users, items):
        return (self.users(users) * self.items(items)).sum(-1)


def run_epoch(model, optimizer, batches):
    for users, liked, other in batches:
        margin = model(users, liked) - model(users, other)
        loss = F.softplus(-margin).sum()
        optimizer.zero_grad()
        loss.backward()
        clip_grad_norm_(model.parameters(), max_norm=1.0)
        optimizer.step()


model = Ranker()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.05)
for _ in range(2):
    data = [[torch.randint(20, (16,)) for _ in range(3)] for _ in range(4)]
    run_epoch(model, optimizer, data)
