"""A small GPT on the characters of its own source: schedule, accumulation, clipping, evaluation, a checkpoint."""

import argparse
import hashlib
import io
import math

import torch
from torch import nn
from torch.nn import functional as F


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = (p.view(b, t, self.heads, -1).transpose(1, 2) for p in self.qkv(x).split(c, dim=2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.drop(self.out(y.transpose(1, 2).reshape(b, t, c)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    def __init__(self, vocabulary, width=32, heads=2, layers=2, context=24):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.tokens.weight = self.head.weight  # tied

    def forward(self, idx, targets=None):
        x = self.tokens(idx) + self.places(torch.arange(idx.size(1)))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def groups(self, decay):
        params = [p for p in self.parameters() if p.requires_grad]
        return [
            {"params": [p for p in params if p.dim() >= 2], "weight_decay": decay},
            {"params": [p for p in params if p.dim() < 2], "weight_decay": 0.0},
        ]


def rate(step, warmup=3, total=12, peak=1e-2):
    if step < warmup:
        return peak * (step + 1) / warmup
    return 0.1 * peak + 0.45 * peak * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@torch.no_grad()
def estimate_loss(model, get_batch):
    model.eval()
    losses = torch.stack([model(*get_batch())[1] for _ in range(2)])
    model.train()
    return losses.mean().item()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--micro-batches", type=int, default=1)
    micro_batches = parser.parse_args().micro_batches
    torch.manual_seed(1337)
    with open(__file__, encoding="utf-8") as source:
        text = source.read()
    letters = sorted(set(text))
    data = torch.tensor([letters.index(c) for c in text])

    def get_batch(size=4, context=24):
        starts = torch.randint(len(data) - context, (size,))
        return (
            torch.stack([data[i : i + context] for i in starts]),
            torch.stack([data[i + 1 : i + 1 + context] for i in starts]),
        )

    model = GPT(len(letters))
    optimizer = torch.optim.AdamW(model.groups(0.1), lr=1e-2, betas=(0.9, 0.95))
    x, y = get_batch()
    for step in range(12):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        if step % 5 == 0:
            print(f"step {step}: validation {estimate_loss(model, get_batch)!r}")
        for _ in range(micro_batches):
            _, loss = model(x, y)
            x, y = get_batch()
            (loss / micro_batches).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        print(f"step {step}: loss {loss.item()!r}")
    checkpoint = io.BytesIO()
    torch.save({"model": model, "optimizer": optimizer.state_dict()}, checkpoint)
    digest = hashlib.sha256()
    state = [*model.state_dict().values()]
    state += [v for moments in optimizer.state_dict()["state"].values() for v in moments.values()]
    for tensor in state:
        digest.update(tensor.numpy().tobytes())
    print(digest.hexdigest(), torch.rand(1).item())


if __name__ == "__main__":
    main()
