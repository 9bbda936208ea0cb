"""The host need not wait for the device within a step: masked steps equal skipped ones, and nothing
asks for a value."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import tiny
from ibsd.distillation import IBSD, Objective, Plain
from ibsd.distillation.feature_norm import FeatureNorm
from ibsd.students import Student
from ibsd.students.student import StudentSpec
from ibsd.training import Trainer, TrainingOptions
from ibsd.types import Batch, InputError

OPTIONS: dict[str, Any] = {
    "lambda_mi": 1e-3,
    "lambda_hf": 0.02,
    "period": 5,
    "warm_up": 2,
    "ramp": 3,
}
OBJECTIVES: dict[str, Callable[[Student], Objective]] = {
    "plain": Plain,
    "bank": lambda student: IBSD(student, soft_target="bank", inner_steps=2, **OPTIONS),
    "ema, pooled": lambda student: IBSD(student, soft_target="ema", pool=4, **OPTIONS),
    "feature norm": lambda student: FeatureNorm(
        student, lambda_hf=0.02, period=5, warm_up=2, ramp=3
    ),
}
NAN, HUGE = {4, 11}, {13, 14}


def made(
    name: str, deferred: bool, checkpoints: Path | None = None, **options: Any
) -> tuple[Trainer, list[str]]:
    """A run with pictures of NaN at some steps, and with pictures so wrong that the loss explodes
    at others."""
    said: list[str] = []
    source = tiny.source()
    usual = TrainingOptions(
        num_steps=17, learning_rate=1e-3, clip_norm=1.0, diagnostics_every=0, log_every=8
    )
    trainer = Trainer(
        OBJECTIVES[name](tiny.student()),
        source,
        dataclasses.replace(usual, **options),
        deferred=deferred,
        checkpoints=checkpoints,
        log=said.append,
    )
    cut = source.cut

    def broken(origin: Any) -> Batch:
        batch = cut(origin)
        if trainer.step in NAN:
            return batch._replace(lr=batch.lr * math.nan)
        return batch._replace(hr=batch.hr + 1e3) if trainer.step in HUGE else batch

    source.cut = broken
    return trainer, said


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_deferred_steps_equal_waiting_ones_within_rounding(name: str):
    (waiting, said), (deferred, said_deferred) = made(name, False), made(name, True)
    results = waiting.run(), deferred.run()
    assert results[0].skipped == results[1].skipped == 4
    assert len(said) == len(said_deferred) == 3
    assert said[0] == said_deferred[0]
    assert [sentence[:18] for sentence in said] == [sentence[:18] for sentence in said_deferred]
    assert waiting.average.updates == deferred.average.updates == 13
    assert float(waiting.guard.mean) == pytest.approx(float(deferred.guard.mean), rel=1e-4)
    assert waiting.latest == pytest.approx(deferred.latest, rel=1e-3)
    for ours, theirs in (
        (waiting.student, deferred.student),
        (waiting.average.student, deferred.average.student),
    ):
        for x, y in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-3, atol=2e-5)
    if isinstance(waiting.objective, IBSD) and isinstance(deferred.objective, IBSD):
        for x, y in zip(
            waiting.objective.chain.parameters(), deferred.objective.chain.parameters(), strict=True
        ):
            torch.testing.assert_close(x, y, rtol=1e-3, atol=2e-4)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [NAN, HUGE], ids=["not finite", "too large"])
def test_a_refused_step_changes_nothing(bad: set[int]):
    trainer, _ = made("bank", True)
    assert isinstance(trainer.objective, IBSD)
    everything = [
        *trainer.student.parameters(),
        *trainer.average.student.parameters(),
        *trainer.objective.chain.parameters(),
    ]
    while trainer.step < 17:
        before = [x.detach().clone() for x in everything]
        step = trainer.step
        trainer.update()
        same = [torch.equal(x, y) for x, y in zip(everything, before, strict=True)]
        if step in bad:
            assert all(same)
        elif step not in NAN | HUGE:
            assert not all(same[: len(list(trainer.student.parameters()))])


class Asked(TorchDispatchMode):
    """Counts how often a tensor's value is asked for on the host, for which a device would have to
    be waited for."""

    count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function in (
            torch.ops.aten._local_scalar_dense.default,
            torch.ops.aten.is_nonzero.default,
        )
        return function(*args, **(kwargs or {}))


@pytest.mark.slow
@pytest.mark.parametrize("name", OBJECTIVES)
def test_nothing_asks_for_a_value(name: str):
    counts = {}
    for deferred in (True, False):
        trainer, _ = made(name, deferred)
        for _ in range(7):  # a period's end among them
            trainer.update()
        with Asked() as asked:
            for _ in range(2):
                trainer.update()
        counts[deferred] = asked.count
    assert counts[True] == 0
    assert counts[False] >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bank", "ema, pooled"])
def test_resumed_equals_uninterrupted(tmp_path: Path, name: str):
    whole, _ = made(name, True, checkpoints=tmp_path / "whole")
    whole.run()
    part, _ = made(name, True, checkpoints=tmp_path / "parts")
    part.stop_requested = lambda: (
        "stopped" if part.step >= 12 else None
    )  # between two refused steps
    part.run()
    rest, _ = made(name, True, checkpoints=tmp_path / "parts")
    assert rest.resume()
    rest.run()
    for x, y in zip(whole.student.parameters(), rest.student.parameters(), strict=True):
        assert torch.equal(x, y)
    for x, y in zip(
        whole.average.student.parameters(), rest.average.student.parameters(), strict=True
    ):
        assert torch.equal(x, y)
    assert (float(whole.guard.mean), whole.guard.skipped, whole.latest) == (
        float(rest.guard.mean),
        rest.guard.skipped,
        rest.latest,
    )


@pytest.mark.slow
def test_what_a_waiting_run_saved_goes_on_deferred(tmp_path: Path):
    """As from a CPU to a GPU."""
    first, _ = made("bank", False, checkpoints=tmp_path)
    first.stop_requested = lambda: "stopped" if first.step >= 9 else None
    first.run()
    second, _ = made("bank", True, checkpoints=tmp_path)
    assert second.resume()
    assert second.run().finished


def test_an_objective_that_cannot_says_so():
    class Other(Plain):
        deferrable = False

    with pytest.raises(InputError, match="Other"):
        Trainer(Other(tiny.student()), tiny.source(), TrainingOptions(num_steps=1), deferred=True)


class Small(Student):
    """A few convolutions, which torch compiles in seconds."""

    name = "small"

    def __init__(self) -> None:
        super().__init__()
        self.spec = StudentSpec(
            name="small",
            scale=2,
            channels=4,
            num_nodes=4,
            minimum_size_px=1,
            receptive_field_px=5,
            pools_globally=False,
        )
        self.first = nn.Conv2d(3, 4, 1)
        self.middle = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(3))
        self.last = nn.Conv2d(4, 12, 1)

    def run(self, lr: Tensor, keep_nodes: bool) -> tuple[Tensor, tuple[Tensor, ...]]:
        nodes = [self.first(lr)]
        for layer in self.middle:
            nodes.append(layer(nodes[-1]).relu())
        sr = F.pixel_shuffle(self.last(nodes[-1]), 2)
        return sr, tuple(nodes) if keep_nodes else ()

    @staticmethod
    def detect(shapes: dict[str, tuple[int, ...]]) -> None:
        return None


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning"
)  # of torch's own parts, when its compiler is imported
@pytest.mark.parametrize(
    "mode",
    [
        "default",
        pytest.param(
            "reduce-overhead",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs"),
        ),
    ],
)
def test_a_compiled_student_gives_the_same_losses_within_rounding(
    mode: str, monkeypatch: pytest.MonkeyPatch
):
    if mode == "default":  # traced for real; torch's C++ for it takes 15 processor seconds
        monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    losses: dict[str, list[float]] = {}
    options = TrainingOptions(num_steps=6, learning_rate=1e-3, log_every=1, diagnostics_every=0)
    for name in ("", mode):
        torch.manual_seed(0)
        objective = IBSD(Small(), soft_target="snapshot", **OPTIONS | {"period": 2})
        trainer = Trainer(
            objective,
            tiny.source(),
            dataclasses.replace(options, compile_mode=name),
        )
        losses[name] = []
        trainer.on_step = lambda step, terms, name=name: losses[name].extend(terms.values())
        trainer.run()
        assert ("run" in trainer.student.__dict__) == bool(name)
        assert objective.soft_target.past is not None
        assert (
            "run" not in objective.soft_target.past.__dict__
        )  # else the past would be the present
    assert losses[mode] == pytest.approx(losses[""], rel=1e-4, abs=1e-6)  # a bound may be near 0
