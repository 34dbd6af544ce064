"""What other tools miss, through the real session, and that normal mixed precision is left in peace."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_

import graddebug
from graddebug import Finding, Severity
from graddebug.records import STATISTICS
from tests.capture.observing import mlp, observe


def about_numbers(findings: list[Finding]) -> list[Finding]:
    """The findings that tell where NaN or inf was born."""
    return [finding for finding in findings if finding.rule in ("GD501", "GD502", "GD503")]


def alarms(findings: list[Finding]) -> list[str]:
    """Errors and warnings, in words."""
    return [f"{one.rule}: {one.message}" for one in findings if one.severity > Severity.NOTE]


def line_of(finding: Finding) -> str:
    """The source of the line that did the harm."""
    return finding.roles[-1].site.source


def sgd(model: nn.Module, **options: Any) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=0.01, **options)


def test_an_inf_gradient_without_a_nan_is_found_at_its_line() -> None:
    """The root of a learned scale that is 0: anomaly mode looks for NaN only."""
    scale = nn.Parameter(torch.zeros(3))
    optimizer = torch.optim.SGD([scale], lr=0.1)
    with graddebug.watch(nodes="always", on_finding="silent") as run:
        spread = scale.sqrt()
        loss: Any = spread.sum()
        loss.backward()
        optimizer.step()
    (finding,) = about_numbers(run.findings)
    assert (finding.rule, finding.evidence["op"]) == ("GD501", "SqrtBackward0")
    assert line_of(finding) == "spread = scale.sqrt()"


def test_nan_in_the_data_is_blamed_on_the_data() -> None:
    """One NaN in one sample: no op of the model is named as its cause."""
    torch.manual_seed(0)
    model = mlp(4, 8, 3)
    optimizer = sgd(model)
    x = torch.randn(6, 4)
    x[2, 1] = math.nan
    with graddebug.watch(model, optimizer, nodes="always", on_finding="silent") as run:
        output = model(x)
        output.square().mean().backward()
        optimizer.step()
    (finding,) = about_numbers(run.findings)
    assert finding.rule == "GD502"
    assert "data" in finding.message or "input" in finding.message
    assert line_of(finding) == "output = model(x)"


def test_a_clip_imported_before_the_watch_is_seen_from_values() -> None:
    """This module imported `clip_grad_norm_` long before: gradients still carry the scale when it runs."""
    torch.manual_seed(0)
    model = mlp(4, 8, 3)
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with graddebug.watch(model, optimizer, scaler, on_finding="silent") as run:
        for _ in range(4):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.float16):
                loss = F.cross_entropy(model(torch.randn(6, 4)), torch.randint(3, (6,)))
            scaler.scale(loss).backward()
            clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
    (finding,) = [one for one in run.findings if one.severity > Severity.NOTE]
    assert (finding.rule, finding.severity) == ("GD401", Severity.ERROR)


def fused_with_one_overflow(model: nn.Module, optimizer: torch.optim.Optimizer, scaler: Any) -> None:
    for number in range(5):
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            x = torch.randn(6, 4) * (1e30 if number == 2 else 1.0)
            loss = F.cross_entropy(model(x), torch.randint(3, (6,)))
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW])
def test_an_overflow_with_a_fused_optimizer_raises_no_alarm(make: Any) -> None:
    """Its `step` is entered although the kernel skips."""
    torch.manual_seed(0)
    model = mlp(4, 8, 3)
    optimizer = make(model.parameters(), lr=0.01, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    with graddebug.watch(model, optimizer, scaler, nodes="always", on_finding="silent") as run:
        fused_with_one_overflow(model, optimizer, scaler)
    assert alarms(run.findings) == []


def test_numbers_of_a_fused_optimizer_are_unscaled() -> None:
    """Its hooks see gradients times the scale; the recorded norms are those of the same training in plain sight."""
    norms = []
    for fused in (True, False):
        torch.manual_seed(0)
        model = mlp(4, 8, 3)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
        with observe(model, optimizer) as seen:
            fused_with_one_overflow(model, optimizer, scaler)
        tables = [table[:, STATISTICS.index("grad_norm")] for table in seen.tables if table is not None]
        norms.append(torch.tensor(tables[1]))
    assert torch.allclose(norms[0], norms[1], rtol=1e-3)


@pytest.mark.parametrize("fused", [False, True])
def test_dynamic_loss_scaling_gives_notes_only(fused: bool) -> None:
    """Overflows in the first steps until the scale fits, then a probe of a larger one every 20 steps."""
    torch.manual_seed(0)
    head = nn.Linear(32, 3)
    with torch.no_grad():
        head.weight.mul_(50.0)
    model = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), head)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**20, growth_interval=20)
    skips = []
    with graddebug.watch(model, optimizer, scaler, nodes="always", on_finding="silent") as run:
        for _ in range(100):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.float16):
                loss = F.cross_entropy(model(torch.randn(8, 16)), torch.randint(3, (8,)))
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            before = scaler.get_scale()
            scaler.update()
            skips.append(scaler.get_scale() < before)
    assert (any(skips[:5]), any(skips[20:])) == (True, True)
    assert alarms(run.findings) == []
