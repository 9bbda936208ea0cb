"""A run's config: sections are the constructors' dataclasses; mistakes name the place and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ibsd.config.run import Config, DataConfig, as_table, load_config
from ibsd.training import Schedule, TrainingOptions
from ibsd.types import InputError

CONFIGS = Path(__file__).parents[2] / "configs"
RUN = """
data = { pairs = "pairs", batch_size = 4 }
objective = { name = "plain" }
training = { num_steps = 9, schedule = { kind = "step", milestones = [3] } }
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "short.toml").write_text(RUN)
    return tmp_path / "short.toml"


def test_sections_and_overrides(path: Path):
    config = load_config(path, ["training.learning_rate=1e-3", "run.seed=3"])
    expected = TrainingOptions(9, 1e-3, schedule=Schedule("step", milestones=(3,)))
    assert config.training == expected
    assert config.run.seed == 3
    assert config.run.folder == "runs/short"
    assert load_config(path, ["run.folder=here"]).run.folder == "here"


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("training.num_steps=0", "training.num_steps is 0; it must be at least 1"),
        ("training.schedule.gamma=2.0", "training.schedule.gamma is 2.0; it must be above 0"),
        ("training.num_step=1", "did you mean 'num_steps'?"),
        ("student.scale=5", "student.scale is 5; it must be 1, 2, 3 or 4"),
        ("data.batch_size=0", "data.batch_size is 0"),
        ("data.lr=x", "lr and hr"),
        ("data.memory_limit_mib=-1", "data.memory_limit_mib is -1"),
        ("run.threads=-1", "run.threads is -1"),
        ("run.data_seed=-2", "run.data_seed is -2"),
    ],
)
def test_mistakes_name_override_and_key(path: Path, override: str, sentence: str):
    with pytest.raises(InputError) as caught:
        load_config(path, [override])
    assert sentence in str(caught.value)
    together = f"{path}: data: lr and hr"  # two keys: neither is the mistake alone
    assert str(caught.value).startswith((f"{override}: ", together))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"degradations": {}}, "data.degradations"),
        ({"degradations": {"camera": -1}}, "data.degradations"),
        ({"degradations": {"camera": "much"}}, "data.degradations"),
        ({"degradations": {"camera": float("inf")}}, "data.degradations"),
        ({"softness": (1.0, 0.5)}, "data.softness"),
        ({"softness": (1.0,)}, "data.softness"),
        ({"photograph_share": 1.0}, "data.photograph_share"),
    ],
)
def test_photographs_are_described_rightly(change: dict, sentence: str):
    with pytest.raises(InputError, match=sentence):
        DataConfig(photographs="folder", **change)


def test_data_needs_one_source_of_pairs():
    for wrong in ({}, {"pairs": "a", "lr": "b", "hr": "c"}):
        with pytest.raises(InputError, match="give pairs"):
            DataConfig(**wrong)


def test_a_table_is_plain_and_builds_the_same_config(path: Path):
    table = as_table(load_config(path))
    assert json.loads(json.dumps(table)) == table
    assert list(table) == ["student", "data", "objective", "training", "run"]
    assert as_table(Config())["training"]["num_steps"] == TrainingOptions().num_steps


@pytest.mark.parametrize(
    "recipe", [path for path in CONFIGS.glob("*.toml") if "[student]" in path.read_text()], ids=str
)
def test_shipped_recipes_load(recipe: Path):
    assert load_config(recipe).run.folder == f"runs/{recipe.stem}"
