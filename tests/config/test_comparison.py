"""A comparison's TOML: what becomes of it, and every mistake named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from ibsd.config.comparison import load_compare_config
from ibsd.types import InputError

CONFIGS = Path(__file__).parents[2] / "configs"

TOML = """
[compare]
folder = "results"
[base]
data.pairs = "pairs"
training.num_steps = 100
[settings.north]
data.select = "N*"
[settings.north.tests.south]
select = "S*"
[arms.plain]
objective.name = "plain"
[arms.again]
like = "plain"
role = "a/a"
data_seed_offset = 50
[arms.longer]
like = "plain"
steps_factor = 2.5
[arms.full]
objective.name = "ibsd"
objective.options = { lambda_mi = 1e-4, lambda_hf = 0.5 }
[arms.half]
like = "full"
objective.options.lambda_hf = 0.0
[arms.other]
like = "full"
objective.name = "feature-norm"
"""


def load(folder: Path, text: str = TOML, *overrides: str) -> Any:
    path = folder / "compare.toml"
    path.write_text(text)
    return load_compare_config(path, overrides)


def test_a_run_is_base_then_setting_then_arm(tmp_path: Path) -> None:
    config = load(tmp_path)
    plain = config.run_config("north", "plain", 2)
    assert (plain.data.select, plain.objective.name, plain.training.num_steps, plain.run.seed) == (
        "N*",
        "plain",
        100,
        2,
    )
    assert plain.run.data_seed == -1
    assert config.run_config("north", "again", 2).run.data_seed == 52
    assert config.run_config("north", "longer", 0).training.num_steps == 250
    assert config.tests["north"]["south"].splits == ("test",)


def test_like_takes_another_arms_overrides_but_not_another_objectives_options(
    tmp_path: Path,
) -> None:
    config = load(tmp_path)
    assert config.run_config("north", "half", 0).objective.options == {
        "lambda_mi": 1e-4,
        "lambda_hf": 0.0,
    }
    assert config.run_config("north", "full", 0).objective.options == {
        "lambda_mi": 1e-4,
        "lambda_hf": 0.5,
    }
    other = config.run_config("north", "other", 0).objective
    assert (other.name, other.options) == ("feature-norm", {})


def test_an_arm_may_have_more_seeds_in_a_setting(tmp_path: Path) -> None:
    config = load(tmp_path, TOML.replace('data.select = "N*"', "more_seeds = { full = [3, 4] }"))
    assert config.seeds("north", "full") == (0, 1, 2, 3, 4)
    assert config.seeds("north", "plain") == (0, 1, 2)


def test_overrides_reach_every_run(tmp_path: Path) -> None:
    config = load(tmp_path, TOML, "base.training.num_steps=10", "compare.seeds=[7]")
    assert config.run_config("north", "longer", 7).training.num_steps == 25
    assert config.options.seeds == (7,)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("[compare]\n", "[compare]\nseed = 3\n"), "unknown key 'compare.seed'"),
        (('folder = "results"', ""), "compare.folder is missing"),
        (("[compare]\n", "[compare]\nseeds = [1, 1]\n"), "compare.seeds"),
        (("[compare]\n", '[compare]\nbaseline = "none"\n'), "it must be an arm"),
        (("[compare]\n", '[compare]\nprimary = "psnr"\n'), "protocol.metric"),
        (
            ("training.num_steps = 100", "training.num_step = 100"),
            "setting north, arm plain: unknown key 'training.num_step'",
        ),
        (("[compare]\n", '[compare]\ncontrasts = [["full", "none"]]\n'), "compare.contrasts"),
        (("[compare]\n", '[compare]\ncontrasts = [["full", "full"]]\n'), "compare.contrasts"),
        (("[compare]\n", '[compare]\ncontrasts = [["full"]]\n'), "compare.contrasts"),
        (('role = "a/a"', 'role = "aa"'), "'treatment', 'a/a', 'unpaired'"),
        (("steps_factor = 2.5", "steps_factor = 0.0"), "steps_factor"),
        (('[arms.plain]\nobjective.name = "plain"', '[arms.plain]\nlike = "again"'), "leads back"),
        (('like = "plain"\nrole', 'like = "plane"\nrole'), "leads to 'plane'"),
        (
            ("[settings.north.tests.south]\nselect", "[settings.north.other]\nselect"),
            "settings.north.other",
        ),
        (('[settings.north.tests.south]\nselect = "S*"', ""), "has no test set"),
        (('select = "S*"', 'splits = ["tests"]'), "settings.north.tests.south.splits"),
        (("[arms.plain]", "[arms.'pl/ain']"), "letters, digits"),
        (
            ('data.select = "N*"', "more_seeds = { none = [3] }"),
            "more_seeds is 'none'",
        ),
        (('data.select = "N*"', "more_seeds = { full = [2] }"), "more_seeds.full"),
        (("[base]", "[bases]"), "unknown section 'bases'"),
        (("[base]", "[base"), "is not valid TOML"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    assert change[0] in TOML
    with pytest.raises(InputError) as caught:
        load(tmp_path, TOML.replace(*change))
    assert sentence in str(caught.value)
    assert str(caught.value).count("compare.toml") == 1


@pytest.mark.parametrize(
    "key", ["compare", "base", "base.data", "settings.north.run", "arms.plain.objective"]
)
def test_a_value_in_place_of_a_section_is_named(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match=rf"{key} is 5; it must be a section, \[{key}\]"):
        load(tmp_path, TOML, f"{key}=5")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such config file"):
        load_compare_config(tmp_path / "none.toml")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        path
        for path in sorted(CONFIGS.glob("*.toml"))
        if "compare" in tomllib.loads(path.read_text())
    ],
    ids=str,
)
def test_shipped_comparisons_load(path: Path) -> None:
    config = load_compare_config(path)
    assert len(config.options.seeds) >= 3 or "search" in path.name
    for setting in config.settings:
        for arm in config.arms:
            config.run_config(setting, arm, 0)
