"""Functions with a pole: sqrt, pow, log, acos, division and their like at the edge of their domain."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .program import Trial, program, train


@program("SqrtBackward0", "backward", "sqrt of 0", source="pytorch#2421")
def distance_of_equal_points() -> Trial:
    """Distance of two embeddings that coincide."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)

    def loss() -> Tensor:
        a, b = net(x), net(x)
        return (a - b).square().sum(1).sqrt().mean()  # origin

    return train(net, loss)


@program("SqrtBackward0", "backward", "sqrt of 0", source="pytorch#2421")
def scale_starts_at_zero() -> Trial:
    """The root of a learned scale that starts at 0: inf, no NaN."""
    net = nn.Linear(4, 3)
    scale = nn.Parameter(torch.zeros(3))
    x = torch.randn(8, 4)

    def loss() -> Tensor:
        spread = scale.sqrt()  # origin
        return (net(x) * (1 + spread)).sum()

    return train([*net.parameters(), scale], loss)


@program("PowBackward0", "backward", "a power below 1 of 0", source="pytorch#2721")
def gamma_of_dark_pixels() -> Trial:
    """Gamma correction, ``c ** 0.45``, of a learned picture with black pixels: inf, no NaN."""
    picture = nn.Parameter(torch.tensor([[0.0, 0.2], [0.5, 1.0]]))

    def loss() -> Tensor:
        bright = picture**0.45  # origin
        return (bright - 0.5).square().mean()

    return train([picture], loss)


@program("PowBackward0", "backward", "overflow", source="Lennard-Jones potentials")
def potential_of_close_atoms() -> Trial:
    """``r ** -12`` is still finite at a small r, its derivative is not."""
    positions = nn.Parameter(torch.tensor([[0.0, 0.0], [8e-4, 0.0]]))

    def loss() -> Tensor:
        r = (positions[0] - positions[1]).norm()
        return r**-12  # origin

    return train([positions], loss)


@program("RsqrtBackward0", "forward", "rsqrt of 0", source="RMSNorm without eps")
def rms_norm_without_eps() -> Trial:
    """RMS normalisation of a row of zeros without an eps."""
    net = nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 2))
    x = torch.randn(8, 4)
    with torch.no_grad():
        net[0].bias.zero_()
        x[3] = 0.0

    def loss() -> Tensor:
        hidden = net[0](x)
        hidden = hidden * hidden.square().mean(-1, keepdim=True).rsqrt()  # origin
        output: Tensor = net[1](hidden)
        return output.square().mean()

    return train(net, loss)


@program("StdBackward0", "forward", "std of one element", source="pytorch#4320")
def spread_of_one_sample() -> Trial:
    """Standard deviation over a last batch of one."""
    net = nn.Linear(4, 3)
    x = torch.randn(1, 4)

    def loss() -> Tensor:
        output: Tensor = net(x)
        spread = output.std(dim=0)  # origin
        return (spread - 1).square().mean()

    return train(net, loss)


@program("LogBackward0", "forward", "log of 0", source="apex#379")
def entropy_by_hand() -> Trial:
    """Entropy as ``p * log p``, where softmax gives exact zeros."""
    net = nn.Linear(4, 5)
    x = 500 * torch.randn(8, 4)

    def loss() -> Tensor:
        p = net(x).softmax(-1)
        logs = p.log()  # origin
        return -(p * logs).sum(-1).mean()

    return train(net, loss)


@program("LogBackward0", "forward", "log of 0", source="apex#379")
def log_of_one_minus_sigmoid() -> Trial:
    """Generator loss ``log(1 - sigmoid(x))`` where the sigmoid is 1."""
    net = nn.Linear(4, 1)
    x = 1000 * torch.randn(8, 4)

    def loss() -> Tensor:
        fooled = torch.sigmoid(net(x))
        return torch.log(1 - fooled).mean()  # origin

    return train(net, loss)


@program("AcosBackward0", "backward", "acos of 1 or -1", source="geodesic losses")
def angle_of_equal_vectors() -> Trial:
    """Geodesic loss: the angle between a prediction and a target that are the same."""
    direction = nn.Parameter(torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0]]))
    target = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

    def loss() -> Tensor:
        cosine = (direction * target).sum(-1)
        return torch.acos(cosine).mean()  # origin

    return train([direction], loss)


@program("XlogyBackward0", "backward", "log of 0", source="p log p")
def xlogy_at_zero() -> Trial:
    """``xlogy(p, p)`` of a learned p that is exactly 0: fine in forward, -inf in backward."""
    p = nn.Parameter(torch.tensor([0.0, 0.25, 0.75]))

    def loss() -> Tensor:
        return -torch.xlogy(p, p).sum()  # origin

    return train([p], loss)


@program("DivBackward0", "forward", "0/0", source="division by a norm")
def divide_by_norm() -> Trial:
    """``x / x.norm()`` of a row that is all zero behind a ReLU."""
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU())
    x = torch.randn(8, 4)
    with torch.no_grad():
        net[0].bias.zero_()
        x[0] = 0.0

    def loss() -> Tensor:
        features = net(x)
        unit = features / features.norm(dim=-1, keepdim=True)  # origin
        return (unit @ unit.T).mean()

    return train(net, loss)


@program("ExpBackward0", "forward", "overflow", source="VAEs: exp(log_var)")
def variance_of_vae() -> Trial:
    """KL term of a VAE whose log-variance ran away."""
    encoder = nn.Linear(4, 4)
    x = 400 * torch.randn(8, 4)

    def loss() -> Tensor:
        mean, log_var = encoder(x).chunk(2, dim=-1)
        variance = log_var.exp()  # origin
        return 0.5 * (mean.square() + variance - log_var - 1).mean()

    return train(encoder, loss)


@program("LinalgEighBackward0", "backward", "equal eigenvalues", source="pytorch eigh docs")
def eigenvectors_of_identity() -> Trial:
    """Eigenvectors of a matrix with equal eigenvalues."""
    matrix = nn.Parameter(torch.eye(3))

    def loss() -> Tensor:
        _, vectors = torch.linalg.eigh(matrix)  # origin
        return (vectors * torch.arange(9.0).view(3, 3)).sum()

    return train([matrix], loss)


@program("NativeLayerNormBackward0", "forward", "0·inf", source="eps=0 in a normalisation")
def layer_norm_of_constant_row() -> Trial:
    """LayerNorm with eps=0 over a constant row."""
    net = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6, eps=0.0), nn.Linear(6, 2))
    x = torch.randn(8, 4)
    with torch.no_grad():
        net[0].bias.zero_()
        x[5] = 0.0

    def loss() -> Tensor:
        output: Tensor = net(x)  # origin
        return output.square().mean()

    return train(net, loss)


@program("DivBackward0", "forward", "division by 0", source="temperature annealed to 0", steps=3)
def temperature_reaches_zero() -> Trial:
    """Softmax with a temperature that was annealed to 0, at the third step."""
    net = nn.Linear(4, 3)
    x = torch.randn(8, 4)
    y = torch.randint(3, (8,))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)

    def step(number: int) -> None:
        temperature = 1.0 - number / 2
        optimizer.zero_grad()
        logits = net(x) / temperature  # origin
        loss = nn.functional.cross_entropy(logits, y)
        loss.backward()
        optimizer.step()

    return Trial(step, tuple(net.parameters()), (optimizer,))
