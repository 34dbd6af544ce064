"""GD105: the epoch's test loss is computed by the function that trains, and its gradient joins the next
epoch.

Seen in: https://github.com/fengxinjie/Transformer-OCR/issues/7
Parameters: embed.*, out.*, rnn.*
"""

import torch
from torch import nn
from torch.nn import functional as F


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.rnn = nn.GRU(8, 8, batch_first=True)
        self.drop = nn.Dropout(0.2)
        self.out = nn.Linear(8, 3)

    def forward(self, tokens):
        return self.out(self.drop(self.rnn(self.embed(tokens))[0]))


def loss_of(tagger, tokens):
    loss = F.cross_entropy(tagger(tokens).flatten(0, 1), (tokens % 3).flatten())
    loss.backward()  # backward
    return loss


torch.manual_seed(0)
tagger = Tagger()
optimizer = torch.optim.AdamW(tagger.parameters(), lr=1e-3)
for _ in range(3):
    tagger.train()
    for _ in range(4):
        loss_of(tagger, torch.randint(20, (4, 7)))
        optimizer.step()  # step
        optimizer.zero_grad()
    tagger.eval()
    print(f"{loss_of(tagger, torch.randint(20, (4, 7))).item():.3f}")
