"""GD310: the embedding is frozen, so nothing comes back through the reentrant checkpoints of the layers above.

Seen in: transformers#21381, transformers#23170, open_clip#573
Parameters: layers.*
"""

import warnings

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

warnings.filterwarnings("ignore", message="None of the inputs have requires_grad")
torch.manual_seed(0)


class Encoder(nn.Module):
    def __init__(self, words=20, width=8):
        super().__init__()
        self.embed = nn.Embedding(words, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 16, dropout=0.0, batch_first=True) for _ in range(2)
        )
        self.head = nn.Linear(width, 3)

    def forward(self, words):
        x = self.embed(words)
        for layer in self.layers:
            x = checkpoint(layer, x, use_reentrant=True)  # checkpoint
        return self.head(x.mean(1))


class Trainer:
    def __init__(self, model):
        self.model = model
        self.optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-3)

    def fit(self, batches):
        self.model.train()
        for words, labels in batches:
            loss = F.cross_entropy(self.model(words), labels)
            loss.backward()
            self.optimizer.step()  # step
            self.optimizer.zero_grad()


model = Encoder()
model.embed.weight.requires_grad_(False)
Trainer(model).fit([(torch.randint(20, (4, 5)), torch.randint(3, (4,))) for _ in range(5)])
