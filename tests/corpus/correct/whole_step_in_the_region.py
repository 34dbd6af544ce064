"""Right: only the loss is computed under the decorator."""

import torch
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.items = nn.Embedding(12, 6)
        self.users = nn.Embedding(9, 6)

    def forward(self, user, item):
        return (self.users(user) @ self.items(item).T).diagonal()


torch.manual_seed(0)
model = Model()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)


@torch.autocast("cpu", dtype=torch.bfloat16)
def loss_of(user, item, rating):
    return (model(user, item).float() - rating).square().mean()


def train_step(user, item, rating):
    loss = loss_of(user, item, rating)
    loss.backward()
    return loss.item()


for _ in range(5):
    optimizer.zero_grad()
    print(f"{train_step(torch.randint(9, (8,)), torch.randint(12, (8,)), torch.rand(8)):.3f}")
    optimizer.step()
