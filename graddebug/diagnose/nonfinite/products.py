"""Sums, products, casts and linear algebra: overflow, 0·inf, inf - inf, and matrices without an inverse."""

from __future__ import annotations

from graddebug.diagnose.nonfinite.entry import (
    Entry,
    always,
    both,
    could_overflow,
    holds_inf,
    makes_nan,
    operands_finite,
    unless,
)
from graddebug.diagnose.nonfinite.facts import Facts

_MATMUL = ("Mm", "Bmm", "Addmm", "Baddbmm", "Addbmm", "Mv", "Addmv", "Dot", "Convolution", "UnsafeView")
_MATMUL_CALLS = ("matmul", "__matmul__", "mm", "bmm", "linear")


def _half(facts: Facts) -> bool:
    return facts.half


def _narrow(facts: Facts) -> bool:
    return facts.origin.dtype in ("float16", "bfloat16")


OVERFLOW = (
    Entry(
        ops=(*_MATMUL, *_MATMUL_CALLS),
        born="forward",
        when=both(_half, could_overflow),
        cause="overflow",
        words="a matrix product of {self_or_input_or_mat1_or_batch1:high} and "
        "{other_or_weight_or_mat2_or_batch2:high}: over {limit}, the largest number of {dtype}",
        fix="Scale before the product, as attention does with `(q / d**0.5) @ k.mT`, or run it in bfloat16 "
        "or float32.",
    ),
    Entry(
        ops=(*_MATMUL, *_MATMUL_CALLS),
        born="forward",
        when=could_overflow,
        cause="overflow",
        words="a matrix product of {self_or_input_or_mat1_or_batch1:high} and "
        "{other_or_weight_or_mat2_or_batch2:high}: over {limit}, the largest number of {dtype}",
        fix="Such numbers have grown step by step: look at what they went through before this line (a "
        "recurrent state, layers without normalisation, weights after too large a step).",
    ),
    Entry(
        ops=("ToCopy",),
        born="forward",
        when=both(_narrow, operands_finite),
        cause="overflow in a cast",
        words="a cast of {self:high} to {dtype}, whose largest number is {limit}",
        fix="Use bfloat16, which has the range of float32, or bring the numbers down first.",
    ),
    Entry(
        ops=("ToCopy",),
        born="backward",
        when=_narrow,
        cause="overflow",
        words="a cast back: the gradient (norm {incoming}) is over {limit}, the largest number of {dtype}",
        fix="Bring the gradient down, by a smaller loss scale or a mean instead of a sum as the loss, or use "
        "bfloat16.",
    ),
    Entry(
        ops=("Sum", "Cumsum", "Mean", "MseLoss", "sum", "mean"),
        born="forward",
        when=both(_half, operands_finite),
        cause="overflow",
        words="a sum of {self:high} in float16, over its largest number, {limit}",
        fix="Sum in float32: `x.float().sum()`.",
    ),
    Entry(
        ops=("Prod", "Cumprod", "prod", "cumprod"),
        when=always,
        cause="overflow",
        words="a product of many numbers ({self}): over {limit}, the largest number of {dtype}",
        fix="Add logarithms instead: `x.log().sum().exp()`, or stay with the sum.",
    ),
)

INDEFINITE = (
    Entry(
        ops=("Mul", "mul", "__mul__"),
        born="forward",
        when=both(makes_nan, holds_inf("self|other")),
        cause="0·inf",
        words="a product of 0 and inf ({inf_one:bad} in a factor)",
        fix="Stop the inf before the product: for `x * torch.log(x)` take "
        "`x * torch.log(x.clamp(min={eps}))`; for a mask take `torch.where(mask, value, 0)`.",
    ),
    Entry(
        ops=("Mul",),
        born="backward",
        when=both(makes_nan, holds_inf("self|other")),
        cause="0·inf",
        words="a product whose other factor holds inf ({inf_one:bad}): a gradient of 0 times inf",
        fix="Make the factor finite where it is made; a product with 0 does not hide it from the gradient.",
    ),
    Entry(
        ops=("Add", "Sub", "Rsub", "add", "sub", "__add__", "__sub__"),
        born="forward",
        when=makes_nan,
        cause="inf - inf",
        words="a sum of inf and -inf ({inf_one:bad} in an operand)",
        fix="Find where the infinities come from; in a mask use `torch.finfo(x.dtype).min` instead of -inf.",
    ),
    Entry(
        ops=(*_MATMUL, *_MATMUL_CALLS),
        when=both(makes_nan, unless(operands_finite)),
        cause="0·inf or inf - inf",
        words="a matrix product with an operand that is not finite ({bad_one:bad}), which makes NaN even of "
        "a gradient of 0",
        fix="Make the operand finite where it is made: behind a matrix product nothing can mask it any more.",
    ),
)

LINEAR_ALGEBRA = (
    Entry(
        ops=("LinalgEigh", "LinalgEig", "LinalgSvd", "SymeigBackward"),
        born="backward",
        when=always,
        cause="repeated eigenvalues or singular values",
        words="a decomposition with equal (or zero) values ({eigenvalues_or_S}): the derivative of the "
        "vectors has 1/(a - b) of each pair",
        fix="If only the values are needed, `torch.linalg.eigvalsh` or `svdvals` have finite gradients; else "
        "break the ties: `A + torch.diag(torch.linspace(0, 1e-4, n))`.",
    ),
    Entry(
        ops=("LinalgInvEx", "LinalgSolveEx", "LinalgLuFactorEx", "LinalgSolveTriangular", "TriangularSolve"),
        when=always,
        cause="singular matrix",
        words="the inverse of a matrix that is singular, or nearly",
        fix="Add a little to the diagonal first: `A + {jitter} * torch.eye(n)`.",
    ),
    Entry(
        ops=("LinalgCholeskyEx", "Cholesky", "CholeskySolve", "CholeskyInverse"),
        when=always,
        cause="matrix is not positive definite",
        words="the Cholesky factor of a matrix that is not positive definite, or hardly: it divides by a "
        "pivot of 0",
        fix="Add a little to the diagonal first: `A + {jitter} * torch.eye(n)`.",
    ),
    Entry(
        ops=("LinalgSlogdet", "LinalgDet", "Where"),
        when=lambda facts: facts.operand("LU") is not None or _square(facts),
        cause="logarithm of a determinant of 0",
        words="the logarithm of the determinant of a singular matrix: log(0)",
        fix="Add a little to the diagonal first: `A + {jitter} * torch.eye(n)`.",
    ),
    Entry(
        ops=("LinalgQr",),
        born="backward",
        when=always,
        cause="matrix without full rank",
        words="the QR decomposition of a matrix without full rank: its derivative needs the inverse of R",
        fix="Add a little to the diagonal first: `A + {jitter} * torch.eye(n)`.",
    ),
)


def _square(facts: Facts) -> bool:
    """A scalar out of one square matrix: `torch.logdet` is several ops in one call."""
    shapes = [one.shape for one in facts.tensors]
    return (
        facts.origin.born == "forward"
        and facts.origin.shape == ()
        and any(len(shape) == 2 and shape[0] == shape[1] for shape in shapes)
    )


ENTRIES = (*INDEFINITE, *OVERFLOW, *LINEAR_ALGEBRA)
