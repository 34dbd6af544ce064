"""Tiny programs at the singular points of ops, each with the fix that we advise applied."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

INF = math.inf
Program = Callable[..., Tensor]


@dataclass(frozen=True)
class Point:
    """An op at its singular point: ``wrong`` makes NaN or inf there, ``mended`` follows our advice.

    ``at`` are the values of the leaves; ``cause`` is what we call it.
    """

    name: str
    cause: str
    at: tuple[Any, ...]
    wrong: Program
    mended: Program
    dtype: torch.dtype = torch.float32

    def leaves(self) -> list[Tensor]:
        """New leaves that want a gradient."""
        return [torch.tensor(value, dtype=self.dtype, requires_grad=True) for value in self.at]


HALF = torch.float16
MASK = torch.tensor([False, True])
ROWS = torch.tensor([[True, True], [False, False]])
EYE = torch.eye(2)
IGNORED = torch.tensor([-100, -100])
NEAR = 1e-6


def masked(value: Tensor) -> Tensor:
    """The first element is thrown away after the op."""
    return torch.where(MASK, value, torch.zeros(()))


def low(x: Tensor) -> float:
    """What masks are filled with instead of -inf."""
    return float(torch.finfo(x.dtype).min)


def mean_of_targets(x: Tensor, y: Tensor) -> Tensor:
    """A cross-entropy that may have no target."""
    return F.cross_entropy(x, y, reduction="sum") / (y != -100).sum().clamp(min=1)


def ctc(x: Tensor, *, zero_infinity: bool) -> Tensor:
    """A target of three that needs four steps, over two."""
    target = torch.tensor([[1, 1, 2]])
    lengths = (torch.tensor([2]), torch.tensor([3]))
    return F.ctc_loss(x.log_softmax(-1), target, *lengths, reduction="none", zero_infinity=zero_infinity)


def untied(a: Tensor) -> Tensor:
    """Equal eigenvalues made unequal."""
    return a + torch.diag(torch.linspace(0, 1e-4, 2))


ROOTS = (
    Point("sqrt", "square root of 0", ([0.0, 1.0],), torch.sqrt, lambda x: torch.sqrt(x + 1e-12)),
    Point(
        "length by hand",
        "square root of 0",
        ([0.0, 0.0],),
        lambda x: (x * x).sum().sqrt(),
        torch.linalg.vector_norm,
    ),
    Point(
        "sqrt in half", "square root of 0", ([0.0, 1.0],), torch.sqrt, lambda x: torch.sqrt(x + 1e-4), HALF
    ),
    Point(
        "sqrt masked",
        "square root of 0",
        ([0.0, 1.0],),
        lambda x: masked(torch.sqrt(x)),
        lambda x: torch.where(MASK, torch.sqrt(torch.where(MASK, x, 1.0)), 0.0),
    ),
    Point(
        "sqrt of a negative number",
        "square root of a negative number",
        ([-1e-7, 1.0],),
        torch.sqrt,
        lambda x: torch.sqrt(x.clamp(min=1e-12)),
    ),
    Point("rsqrt", "division by 0", ([0.0, 1.0],), torch.rsqrt, lambda x: torch.rsqrt(x + 1e-12)),
    Point("rsqrt near 0", "division by nearly 0", ([1e-30],), torch.rsqrt, lambda x: torch.rsqrt(x + 1e-12)),
    Point("pow", "power below 1 of 0", ([0.0, 1.0],), lambda x: x**0.3, lambda x: (x + 1e-12) ** 0.3),
    Point(
        "pow 0.5",
        "power below 1 of 0",
        ([0.0, 0.0],),
        lambda x: x.square().sum() ** 0.5,
        torch.linalg.vector_norm,
    ),
    Point(
        "pow of a tensor",
        "power below 1 of 0",
        ([0.0, 1.0], [0.5, 0.5]),
        torch.pow,
        lambda x, p: (x + 1e-12) ** p,
    ),
    Point(
        "exponent's gradient",
        "logarithm of a negative base",
        ([-2.0, 1.0], [2.0, 2.0]),
        torch.pow,
        lambda x, p: x.clamp(min=1e-12) ** p,
    ),
    Point("pow -1", "division by 0", ([0.0, 1.0],), lambda x: x**-1, lambda x: x.clamp(min=1e-12) ** -1),
    Point(
        "pow of a negative number",
        "fractional power of a negative number",
        ([-1.0, 1.0],),
        lambda x: x**0.3,
        lambda x: x.clamp(min=1e-12) ** 0.3,
    ),
)

QUOTIENTS = (
    Point("1/x", "division by 0", ([0.0, 1.0],), lambda x: 1 / x, lambda x: 1 / x.clamp(min=1e-6)),
    Point(
        "a/b", "division by 0", ([1.0], [0.0, 1.0]), lambda a, b: a / b, lambda a, b: a / b.clamp(min=1e-6)
    ),
    Point("0/0", "0/0", ([0.0, 1.0], [0.0, 1.0]), lambda a, b: a / b, lambda a, b: a / b.clamp(min=1e-6)),
    Point(
        "mean over a mask of nothing",
        "0/0",
        ([1.0, 2.0],),
        lambda x: (x * torch.zeros(2)).sum() / torch.zeros(2).sum(),
        lambda x: (x * torch.zeros(2)).sum() / torch.zeros(2).sum().clamp(min=1),
    ),
    Point(
        "a/b masked",
        "division by 0",
        ([1.0, 1.0], [0.0, 1.0]),
        lambda a, b: masked(a / b),
        lambda a, b: masked(a / b.clamp(min=1e-6)),
    ),
    Point(
        "a/b near 0", "division by nearly 0", ([1.0], [1e-30]), torch.div, lambda a, b: a / b.clamp(min=1e-6)
    ),
    Point("reciprocal", "division by 0", ([0.0, 1.0],), torch.reciprocal, lambda x: 1 / x.clamp(min=1e-6)),
    Point(
        "reciprocal near 0",
        "division by nearly 0",
        ([1e-30],),
        torch.reciprocal,
        lambda x: 1 / x.clamp(min=1e-6),
    ),
)

LOGARITHMS = (
    *(
        Point(
            log.__name__,
            "logarithm of 0",
            ([0.0, 1.0],),
            log,
            lambda x, log=log: log(x.clamp(min=1e-12)),
        )
        for log in (torch.log, torch.log2, torch.log10)
    ),
    Point(
        "log masked",
        "logarithm of 0",
        ([0.0, 1.0],),
        lambda x: masked(torch.log(x)),
        lambda x: masked(torch.log(torch.where(MASK, x, 1.0))),
    ),
    Point(
        "log of a negative number",
        "logarithm of a negative number",
        ([-1.0, 1.0],),
        torch.log,
        lambda x: torch.log(x.clamp(min=1e-12)),
    ),
    Point(
        "log of a softmax",
        "logarithm of 0",
        ([0.0, 200.0],),
        lambda x: torch.log(x.softmax(-1)),
        lambda x: F.log_softmax(x, -1),
    ),
    Point(
        "log in half",
        "logarithm of 0",
        ([0.0, 1.0],),
        torch.log,
        lambda x: torch.log(x.clamp(min=1e-4)),
        HALF,
    ),
    Point(
        "log1p", "logarithm of 0", ([-1.0, 1.0],), torch.log1p, lambda x: torch.log1p(x.clamp(min=-1 + 1e-6))
    ),
    Point("logit", "logit of 0 or 1", ([0.0, 1.0],), torch.logit, lambda x: torch.logit(x, eps=1e-6)),
    Point(
        "xlogy",
        "logarithm of 0",
        ([0.0, 1.0], [0.0, 1.0]),
        torch.xlogy,
        lambda x, y: torch.xlogy(x, y.clamp(min=1e-12)),
    ),
    Point(
        "entropy",
        "logarithm of 0",
        ([0.0, 1.0],),
        torch.special.entr,
        lambda x: torch.special.entr(x.clamp(min=1e-12)),
    ),
    Point(
        "x log x",
        "0·inf",
        ([0.0, 1.0],),
        lambda x: x * torch.log(x),
        lambda x: x * torch.log(x.clamp(min=1e-12)),
    ),
    Point(
        "lgamma",
        "pole of the gamma function",
        ([0.0, 1.0],),
        torch.lgamma,
        lambda x: torch.lgamma(x.clamp(min=1e-12)),
    ),
)

INVERSES = (
    *(
        Point(
            f"{f.__name__} at {edge}",
            f"{f.__name__} at ±1",
            ([edge, 0.5],),
            f,
            lambda x, f=f: f(x.clamp(-1 + 1e-6, 1 - 1e-6)),
        )
        for f in (torch.acos, torch.asin, torch.atanh, torch.erfinv)
        for edge in (1.0, -1.0, 1.001)
    ),
    Point("acosh", "acosh at 1", ([1.0, 2.0],), torch.acosh, lambda x: torch.acosh(x.clamp(min=1 + 1e-6))),
    Point(
        "ndtri",
        "quantile of 0 or 1",
        ([0.0, 0.5],),
        torch.special.ndtri,
        lambda x: torch.special.ndtri(x.clamp(1e-6, 1 - 1e-6)),
    ),
    Point(
        "hypot",
        "0/0",
        ([0.0, 1.0], [0.0, 1.0]),
        torch.hypot,
        lambda x, y: torch.linalg.vector_norm(torch.stack([x, y]), dim=0),
    ),
    *(
        Point(
            f.__name__,
            "overflow of an exponential",
            ([400.0, 1.0],),
            f,
            lambda x, f=f: f(x.clamp(max=40)),
        )
        for f in (torch.exp, torch.exp2, torch.expm1, torch.sinh, torch.cosh)
    ),
    Point(
        "exp in half",
        "overflow of an exponential",
        ([12.0],),
        torch.exp,
        lambda x: torch.exp(x.clamp(max=10)),
        HALF,
    ),
    Point(
        "exp masked",
        "overflow of an exponential",
        ([100.0, 1.0],),
        lambda x: masked(torch.exp(x)),
        lambda x: masked(torch.exp(x.clamp(max=40))),
    ),
)

REDUCTIONS = (
    Point(
        "softmax of a masked row",
        "softmax of a fully masked row",
        ([[1.0, 2.0], [3.0, 4.0]],),
        lambda x: x.masked_fill(ROWS, -INF).softmax(-1),
        lambda x: x.masked_fill(ROWS, low(x)).softmax(-1),
    ),
    Point(
        "log_softmax of a masked row",
        "softmax of a fully masked row",
        ([[1.0, 2.0], [3.0, 4.0]],),
        lambda x: F.log_softmax(x.masked_fill(ROWS, -INF), -1),
        lambda x: F.log_softmax(x.masked_fill(ROWS, low(x)), -1),
    ),
    Point(
        "softmax of +inf",
        "softmax of +inf",
        ([1e38, 2.0],),
        lambda x: (x * torch.tensor([INF, 1.0])).softmax(-1),
        lambda x: x.softmax(-1),
    ),
    Point(
        "a masked row that nobody uses",
        "softmax of a fully masked row",
        ([[1.0, 2.0], [3.0, 4.0]],),
        lambda x: (x.masked_fill(ROWS, -INF).softmax(-1))[1],
        lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], attn_mask=~ROWS[None]),
    ),
    Point(
        "logsumexp of nothing",
        "logsumexp of nothing",
        ([[1.0, 2.0], [3.0, 4.0]],),
        lambda x: masked(torch.logsumexp(x.masked_fill(ROWS, -INF), -1)),
        lambda x: masked(torch.logsumexp(x.masked_fill(ROWS, low(x)), -1)),
    ),
    Point(
        "all targets ignored",
        "mean over nothing",
        ([[1.0, 2.0], [3.0, 4.0]],),
        lambda x: F.cross_entropy(x, IGNORED),
        lambda x: mean_of_targets(x, IGNORED),
    ),
    Point(
        "target masked out",
        "target is masked out",
        ([[1.0, 2.0]],),
        lambda x: F.cross_entropy(x.masked_fill(torch.tensor([[True, False]]), -INF), torch.tensor([0])),
        lambda x: F.cross_entropy(x.masked_fill(torch.tensor([[True, False]]), low(x)), torch.tensor([0])),
    ),
    Point(
        "mean of nothing",
        "mean over nothing",
        ([1.0, 2.0],),
        lambda x: x[x > 5].mean(),
        lambda x: x[x > 5].sum() / max(x[x > 5].numel(), 1),
    ),
    Point(
        "loss over nothing",
        "mean over nothing",
        ([1.0, 2.0],),
        lambda x: F.mse_loss(x[x > 5], torch.zeros(0)),
        lambda x: (x[x > 5] ** 2).sum() / max(x[x > 5].numel(), 1),
    ),
    Point(
        "std of one",
        "standard deviation of one element",
        ([2.0],),
        lambda x: x.std(),
        lambda x: x.std(correction=0),
    ),
    Point(
        "var of one",
        "standard deviation of one element",
        ([[2.0], [3.0]],),
        lambda x: x.var(1),
        lambda x: x.var(1, correction=0),
    ),
    Point(
        "ctc",
        "no alignment",
        ([[[0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0]]],),
        lambda x: ctc(x, zero_infinity=False),
        lambda x: ctc(x, zero_infinity=True),
    ),
    Point(
        "layer norm without eps",
        "normalisation by 0",
        ([[2.0, 2.0]],),
        lambda x: F.layer_norm(x, (2,), eps=0),
        lambda x: F.layer_norm(x, (2,), eps=1e-5),
    ),
    Point(
        "group norm without eps",
        "normalisation by 0",
        ([[2.0, 2.0]],),
        lambda x: F.group_norm(x, 1, eps=0),
        lambda x: F.group_norm(x, 1, eps=1e-5),
    ),
    Point(
        "rms norm without eps",
        "normalisation by 0",
        ([[0.0, 0.0]],),
        lambda x: F.rms_norm(x, (2,), eps=0),
        lambda x: F.rms_norm(x, (2,), eps=1e-5),
    ),
    Point(
        "norm of large numbers",
        "overflow",
        ([1e25, 1.0],),
        torch.linalg.vector_norm,
        lambda x: torch.linalg.vector_norm(x / 1e25),
    ),
)

PRODUCTS = (
    Point(
        "attention scores in half",
        "overflow",
        ([[60.0] * 64], [[60.0] * 64]),
        lambda q, k: q @ k.mT,
        lambda q, k: (q / 64**0.5) @ k.mT,
        HALF,
    ),
    Point(
        "linear in half",
        "overflow",
        ([[300.0] * 4], [[300.0] * 4]),
        F.linear,
        lambda x, w: F.linear(x.bfloat16(), w.bfloat16()),
        HALF,
    ),
    Point(
        "cast",
        "overflow in a cast",
        ([1e6],),
        lambda x: x.half(),
        lambda x: x.bfloat16(),
    ),
    Point(
        "gradient cast to half",
        "overflow",
        ([1.0],),
        lambda x: x.float() * 1e6,
        lambda x: x.bfloat16().float() * 1e4,
        HALF,
    ),
    Point("sum in half", "overflow", ([6e4, 6e4],), lambda x: x.sum(), lambda x: x.float().sum(), HALF),
    Point(
        "squares in half",
        "overflow",
        ([300.0],),
        lambda x: F.mse_loss(x, torch.zeros(1, dtype=x.dtype)),
        lambda x: F.mse_loss(x.float(), torch.zeros(1)),
        HALF,
    ),
    Point("prod", "overflow", ([1e30, 1e30],), lambda x: x.prod(), lambda x: x.log().sum()),
    Point("inf - inf", "inf - inf", ([1e38],), lambda x: x * 10 - x * 10, lambda x: x - x),
    Point(
        "product in float32", "overflow", ([1e30], [1e30]), torch.mul, lambda a, b: a.double() * b.double()
    ),
)

LINEAR_ALGEBRA = (
    Point(
        "eigenvectors",
        "repeated eigenvalues or singular values",
        ([[1.0, 0.0], [0.0, 1.0]],),
        lambda a: torch.linalg.eigh(a)[1],
        lambda a: torch.linalg.eigh(untied(a))[1],
    ),
    Point(
        "singular vectors",
        "repeated eigenvalues or singular values",
        ([[1.0, 0.0], [0.0, 1.0]],),
        lambda a: torch.linalg.svd(a)[0],
        torch.linalg.svdvals,
    ),
    Point(
        "inverse",
        "singular matrix",
        ([[1e-30, 0.0], [0.0, 1.0]],),
        torch.linalg.inv,
        lambda a: torch.linalg.inv(a + 1e-6 * EYE),
    ),
    Point(
        "solve",
        "singular matrix",
        ([[1e-30, 0.0], [0.0, 1.0]],),
        lambda a: torch.linalg.solve(a, torch.ones(2)),
        lambda a: torch.linalg.solve(a + 1e-6 * EYE, torch.ones(2)),
    ),
    Point(
        "cholesky",
        "matrix is not positive definite",
        ([[0.0, 0.0], [0.0, 1.0]],),
        lambda a: torch.linalg.cholesky_ex(a)[0],
        lambda a: torch.linalg.cholesky(a + 1e-6 * EYE),
    ),
    Point(
        "logdet",
        "logarithm of a determinant of 0",
        ([[0.0, 0.0], [0.0, 1.0]],),
        torch.logdet,
        lambda a: torch.logdet(a + 1e-6 * EYE),
    ),
    Point(
        "slogdet",
        "logarithm of a determinant of 0",
        ([[0.0, 0.0], [0.0, 1.0]],),
        lambda a: torch.linalg.slogdet(a)[1],
        lambda a: torch.linalg.slogdet(a + 1e-6 * EYE)[1],
    ),
    Point(
        "qr",
        "matrix without full rank",
        ([[0.0, 0.0], [0.0, 1.0]],),
        lambda a: torch.linalg.qr(a)[0],
        lambda a: torch.linalg.qr(a + 1e-6 * EYE)[0],
    ),
)

POINTS = (*ROOTS, *QUOTIENTS, *LOGARITHMS, *INVERSES, *REDUCTIONS, *PRODUCTS, *LINEAR_ALGEBRA)
