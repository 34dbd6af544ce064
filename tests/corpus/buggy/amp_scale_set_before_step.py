"""GD405: the scale is set anew between the backward and the step that divides by it.

Seen in: DeepSpeed PR#8588
Parameters: classify.bias, classify.weight, words.weight
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
words = nn.EmbeddingBag(30, 8)
classify = nn.Linear(8, 2)
optimizer = torch.optim.SGD([*words.parameters(), *classify.parameters()], lr=0.1)
scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
for number in range(6):
    text, label = torch.randint(30, (8, 5)), torch.randint(2, (8,))
    optimizer.zero_grad()
    with torch.autocast("cpu", torch.float16):
        loss = F.cross_entropy(classify(words(text)), label)
    scaler.scale(loss).backward()  # backward
    scaler.update(256.0 * 2 ** (number % 3))  # update
    scaler.step(optimizer)  # step
