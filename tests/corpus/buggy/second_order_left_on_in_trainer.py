"""GD308: a trainer's second_order flag is on by default, for a meta-learner that this is not.

Seen in: https://github.com/pytorch/pytorch/issues/78622
Parameters: 0.bias, 0.weight, 2.bias, 2.weight
"""

import warnings

import torch
from torch import nn

warnings.filterwarnings("ignore", message="Using backward.. with create_graph=True")


class Trainer:
    def __init__(self, model, second_order=True):
        self.model, self.second_order = model, second_order
        self.optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(self, x, y):
        loss = nn.functional.huber_loss(self.model(x), y)
        loss.backward(create_graph=self.second_order)  # backward
        self.optimizer.step()  # step
        self.optimizer.zero_grad(set_to_none=False)
        return loss.item()


torch.manual_seed(0)
trainer = Trainer(nn.Sequential(nn.Linear(5, 10), nn.Softplus(), nn.Linear(10, 1)))
print([round(trainer.step(torch.randn(16, 5), torch.randn(16, 1)), 2) for _ in range(4)])
