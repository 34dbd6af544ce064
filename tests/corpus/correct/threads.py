"""Right: three threads train a model each, at the same time.

Pattern: several threads
"""

import threading

import torch
from torch import nn

done = []


def train(seed):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(30):
        x = torch.randn(8, 4, generator=generator)
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True)).pow(2).mean().backward()
        optimizer.step()
    done.append(seed)


workers = [threading.Thread(target=train, args=(seed,)) for seed in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
assert sorted(done) == [0, 1, 2]
