"""Records of runs that were never made, for tests of what is said about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ibsd.comparison.design import ArmDesign, Design, Role, RunName, SettingDesign
from ibsd.comparison.identity import Identity
from ibsd.comparison.store import RunRecord, TestScores
from ibsd.training.result import FINISHED

METRIC = "basicsr-y.psnr_y"


def identity(arm: str = "plain", seed: int = 0, **changes: Any) -> Identity:
    base = Identity(
        setting="north",
        arm=arm,
        seed=seed,
        config={
            "training": {"training.num_steps": 6, "run.seed": seed},
            "scoring": {"lpips": False},
        },
        data={"train": "t" * 8, "tests": {"new": "n" * 8}},
    )
    return replace(base, **changes)


def record(
    arm: str = "plain",
    seed: int = 0,
    scores: Any = (30.0, 31.0, 32.0),
    batches: str = "order",
    **changes: Any,
) -> RunRecord:
    """A finished run on one test set of as many images as there are scores; LPIPS is scores /
    100."""
    scores = np.asarray(scores, dtype=float)
    figures = {METRIC: tuple(map(float, scores)), "ibsd-cdc.lpips": tuple(map(float, scores / 100))}
    test = TestScores(
        "unseen",
        tuple(f"image{k}" for k in range(len(scores))),
        (1,) * len(scores),
        {METRIC: 29.0},
        {"ema": figures, "raw": figures},
    )
    base = RunRecord(
        identity=identity(arm, seed),
        outcome=FINISHED,
        pairing={
            "initial_weights": f"w{seed}",
            "batches": f"{batches}{seed}",
            "marks": {"6": f"{batches}{seed}"},
            "num_steps": 6,
            "keeps_data_order": True,
        },
        tests={"new": test},
        final={"terms": {"l1": 0.1}, "skipped": 0, "alarms": 0},
        diagnostics={"step": [6], "scale/F0": [1.5], "alarms": [0.0]},
        inference={"parameters": 100, "layout": "same", "weights": "x"},
        cost={
            "timed_steps": 6,
            "seconds_per_step": 0.2,
            "cpu_seconds_per_step": 0.1,
            "peak_memory_mib": 300.0,
        },
        machine={
            "processor": "P",
            "cores": 2,
            "threads": 1,
            "python": "3.11",
            "torch": "2.13",
            "finished": "2026-01-01",
        },
    )
    return replace(base, **changes)


def design(**roles: Role) -> Design:
    """One setting, three seeds, plain and the arms given by role."""
    arms = {"plain": ArmDesign("plain", "treatment", "objective.name=plain")}
    arms |= {name: ArmDesign(name, role, f"objective.name={name}") for name, role in roles.items()}
    names = tuple(RunName("north", arm, seed) for arm in arms for seed in (0, 1, 2))
    settings = {"north": SettingDesign("North to south", "", {"new": "unseen"})}
    return Design("Made up", "ibsd compare made-up.toml", "plain", METRIC, names, settings, arms)


def by_name(*records: RunRecord) -> dict[RunName, RunRecord]:
    return {
        RunName(each.identity.setting, each.identity.arm, each.identity.seed): each
        for each in records
    }
