"""GD601: what the clip is for has been applied, and cleared.

Seen in: VGRNN#4 and VariationalRNN#3
Parameters: embed.weight, rnn.weight_ih_l0, rnn.weight_hh_l0, rnn.bias_ih_l0, rnn.bias_hh_l0, out.weight, out.bias
"""

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class CharacterModel(nn.Module):
    def __init__(self, characters=11, width=16):
        super().__init__()
        self.embed = nn.Embedding(characters, width)
        self.rnn = nn.RNN(width, width, batch_first=True)
        self.out = nn.Linear(width, characters)

    def forward(self, text):
        states, _ = self.rnn(self.embed(text))
        return self.out(states)


model = CharacterModel()
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
for _ in range(6):
    text = torch.randint(11, (4, 9))
    logits = model(text[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten(), reduction="sum")
    loss.backward()
    optimizer.step()  # step
    optimizer.zero_grad()
    nn.utils.clip_grad_norm_(model.parameters(), 0.5)  # clip
