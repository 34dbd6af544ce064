"""GD306: a running average of features, the centre of a loss, keeps its graph.

Seen in: darts#56
"""

import torch

torch.manual_seed(0)
project = torch.nn.Linear(6, 4)
optimizer = torch.optim.SGD(project.parameters(), lr=0.01)
centre = torch.zeros(4)


def center_loss(features):
    global centre
    centre = 0.9 * centre + 0.1 * features.mean(0)  # carried
    return (features - centre).square().sum(1).mean()


for step in range(14):
    features = project(torch.randn(12, 6))
    loss = center_loss(features) + (features.var(0) - 1).square().sum()
    loss.backward(retain_graph=True)  # backward
    optimizer.step()
    optimizer.zero_grad()
