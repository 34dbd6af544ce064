"""GD106: the student's loss is computed through its teacher, which no optimizer owns and nothing clears.

Seen in: distillation losses without no_grad around the teacher
Parameters: *
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class Tagger(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.words = nn.Embedding(30, width)
        self.read = nn.GRU(width, width, batch_first=True)
        self.tag = nn.Linear(width, 5)

    def forward(self, sentences):
        return self.tag(self.read(self.words(sentences))[0])


teacher, student = Tagger(16), Tagger(6)
optimizer = torch.optim.RMSprop(student.parameters(), lr=1e-3)


def distil(sentences):
    wanted = F.softmax(teacher(sentences), dim=-1)
    return F.kl_div(F.log_softmax(student(sentences), dim=-1), wanted, reduction="batchmean")


for _ in range(7):
    optimizer.zero_grad(set_to_none=False)
    distil(torch.randint(30, (8, 5))).backward()  # backward
    optimizer.step()
