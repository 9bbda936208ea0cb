"""Every objective of the registry runs in `ibsd compare`, and is marked as what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from comparison.two_cameras import run_compare, write_crops
from ibsd.config.parsing import parameters_of
from ibsd.distillation.registry import OBJECTIVES, declared_options

HEAD = """
[compare]
folder = "results"
work = "work"
seeds = [0]
[base.student]
scale = 2
options = { width = 8, num_blocks = 3 }
[base.data]
pairs = "pairs"
batch_size = 2
patch_px = 16
[base.training]
num_steps = 4
log_every = 2
diagnostics_every = 3
[settings.one.tests.new]
splits = ["test"]
role = "unseen"
"""


@pytest.mark.slow
def test_every_objective_is_compared_and_dlb_is_marked_unpaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_crops(tmp_path / "pairs")
    short = {"warm_up": 0, "ramp": 0, "period": 2}
    arms = []
    # `cdc` trains one network alone; the others need views of photographs, groups of pairs, or
    # weights to start from.
    left_out = ("cdc", "view-alignment", "regularised", "specialise")
    methods = {name: objective for name, objective in OBJECTIVES.items() if name not in left_out}
    for name, objective in methods.items():
        options = [
            f"{key} = {value}"
            for key, value in short.items()
            if key in parameters_of(declared_options(objective))
        ]
        arms.append(
            f'[arms.{name}]\nobjective.name = "{name}"\n'
            f"objective.options = {{ {', '.join(options)} }}\n"
        )
    (tmp_path / "compare.toml").write_text(HEAD + "".join(arms), encoding="utf-8")
    results = run_compare("compare.toml")
    assert not results.missing and not results.refused
    kinds = {difference.arm: difference.kind for difference in results.differences}
    assert kinds == {
        name: "treatment" if objective.paired else "unpaired"
        for name, objective in methods.items()
        if name != "plain"
    }
    assert kinds["dlb"] == "unpaired"
    assert all(cost.same_inference and not cost.given_up for cost in results.costs)
