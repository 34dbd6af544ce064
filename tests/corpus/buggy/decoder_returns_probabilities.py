"""GD312: a decoder returns probabilities for each position; its trainer takes them for scores.

Seen in: Deep-learning-activity-recognition#10
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
WORDS = 7


class Decoder(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.embed = nn.Embedding(WORDS, width)
        self.cell = nn.GRUCell(width, width)
        self.out = nn.Linear(width, WORDS)

    def forward(self, words):
        state = torch.zeros(len(words), 12)
        steps = []
        for word in words.unbind(1):
            state = self.cell(self.embed(word), state)
            scores = self.out(state)
            steps.append(torch.softmax(scores, dim=-1))  # softmax
        return torch.stack(steps, dim=1)


def train(model, optimizer, batches):
    for words in batches:
        out = model(words[:, :-1])
        loss = F.cross_entropy(out.transpose(1, 2), words[:, 1:])  # loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


model = Decoder()
train(model, torch.optim.Adam(model.parameters(), lr=1e-2), [torch.randint(WORDS, (4, 6)) for _ in range(6)])
