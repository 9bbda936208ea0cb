"""The first steps of each recipe in configs/ with a narrow student: the loss falls."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from ibsd.commands.train import train
from ibsd.config.run import load_config
from ibsd.data.samples import SPLITS, sample, write_sample_pairs
from ibsd.images.rgb import write_rgb
from ibsd.training.tracking import read_json_lines

CONFIGS = Path(__file__).parents[2] / "configs"
SMALL = [
    "student.options={width = 16, num_blocks = 3}",
    "student.weights=",  # from scratch, for a narrow student cannot start from the shipped weights
    "data.batch_size=2",
    "data.patch_px=16",
    "training.num_steps=12",
    "training.log_every=2",
    "training.validate_every=0",
    "training.learning_rate=4e-3",
    "training.schedule.warm_up=2",
    "run.threads=1",
    "run.device=cpu",
]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Generator[tuple[Path, Path]]:
    """Photographs, and pairs at x4 made of them."""
    root = tmp_path_factory.mktemp("recipes")
    (root / "photographs").mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        for split, number in (("train", 4), ("val", 1), ("test", 1)):
            monkeypatch.setitem(SPLITS, split, SPLITS[split][:number])
        for name in SPLITS["train"]:
            write_rgb(root / "photographs" / f"{name}.png", sample(name))
        write_sample_pairs(root / "pairs", 4)
        yield root / "photographs", root / "pairs"


@pytest.mark.parametrize(
    ("recipe", "needs"),
    [
        ("photographs-imdn-x4", ("photographs",)),
        ("photographs-imdn-sharp-x4", ("photographs",)),
        ("photographs-imdn-x2", ("photographs",)),
        ("photographs-and-pairs-imdn-x4", ("photographs", "pairs")),
        ("realsr-imdn-x4-ibsd", ("pairs",)),
    ],
)
@pytest.mark.slow
def test_the_loss_falls(
    recipe: str, needs: tuple[str, ...], folders: tuple[Path, Path], tmp_path: Path
) -> None:
    where = dict(zip(("photographs", "pairs"), folders, strict=True))
    own = [f"data.{name}={where[name]}" for name in needs]

    settings = [*SMALL, *own, f"run.folder={tmp_path / 'run'}"]
    train(load_config(CONFIGS / f"{recipe}.toml", settings))
    lines = read_json_lines(tmp_path / "run" / "log.jsonl")
    losses = [line["term/l1"] for line in lines if "term/l1" in line]
    assert losses[-1] < 0.8 * losses[0], losses
