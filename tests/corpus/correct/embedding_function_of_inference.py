"""Right: the function that was written for inference has a sibling without no_grad, which training calls."""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class SentenceClassifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(25, 6)
        self.rnn = nn.GRU(6, 10, batch_first=True)
        self.output = nn.Linear(10, 2)

    def hidden(self, sentences):
        return self.rnn(self.words(sentences))[1][-1]

    @torch.no_grad()
    def embed(self, sentences):
        return self.hidden(sentences)

    def training_step(self, sentences, labels):
        return F.cross_entropy(self.output(self.hidden(sentences)), labels)


model = SentenceClassifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
data = torch.randint(25, (30, 7))
for epoch in range(3):
    for sentences in data.split(5):
        loss = model.training_step(sentences, (sentences.sum(1) % 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.embed(data)
