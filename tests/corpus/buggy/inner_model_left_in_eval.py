"""GD801: generate() puts the model inside the wrapper in eval mode; the wrapper's own flag still says training.

Seen in: unsloth PR 11238 (the wrapper's flag stays True while the inner module is in eval mode)
Parameters: base.*
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Language(nn.Module):
    def __init__(self, words=12, width=16):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.layer = nn.TransformerEncoderLayer(width, 2, 32, dropout=0.2, batch_first=True)
        self.output = nn.Linear(width, words)

    def forward(self, tokens):
        return self.output(self.layer(self.embedding(tokens)))


class Wrapped(nn.Module):
    def __init__(self, base):
        super().__init__()
        self.base = base

    def forward(self, tokens):
        return self.base(tokens)

    def sample(self, tokens):
        self.base.eval()
        with torch.no_grad():
            return self.base(tokens)[:, -1].argmax(-1)


model = Wrapped(Language()).train()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
for step in range(12):
    tokens = torch.randint(12, (4, 6))
    scores = model(tokens[:, :-1])
    optimizer.zero_grad()
    F.cross_entropy(scores.flatten(0, 1), tokens[:, 1:].flatten()).backward()  # backward
    optimizer.step()  # step
    if step == 5:
        model.sample(tokens)
