"""The recipe is the measured arm; which images are scored; what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from ibsd.commands.specialise import ELSEWHERE, claim, images_to_score, specialise_config
from ibsd.config.comparison import load_compare_config
from ibsd.distillation.ibsd_options import IBSDOptions
from ibsd.distillation.specialise import SpecialiseOptions
from ibsd.export.weights import save_student
from ibsd.types import InputError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def weights(tmp_path: Path) -> str:
    return str(save_student(tiny.student(), tmp_path / "tiny.safetensors"))


def test_the_recipe_is_the_arm_of_the_comparison() -> None:
    compared = load_compare_config(ROOT / "configs" / "generalise-realsr.toml")
    arm = compared.run_config("from-realsr", "ibsd", 0)
    ours = specialise_config({"pairs": "realsr"}, "imdn-x4", Path("mine"))
    assert ours.training == arm.training
    assert ours.data == arm.data
    theirs = vars(IBSDOptions(**arm.objective.options))
    assert vars(SpecialiseOptions(**ours.objective.options)) == theirs
    assert (ours.student.weights, ours.run.seed) == (arm.student.weights, arm.run.seed)
    assert compared.arms["ibsd-mean"].weights == "mean"


def test_all_lengths_shrink_with_the_steps(weights: str) -> None:
    config = specialise_config({"pairs": "pairs"}, weights, Path("mine"), 120)
    assert config.objective.options == {"warm_up": 10, "ramp": 25, "period": 25}
    assert (config.training.num_steps, config.training.schedule.warm_up) == (120, 20)
    specialise_config({"pairs": "pairs"}, weights, Path("mine"), 1)


def test_overrides_come_last_and_the_folder_is_the_commands(weights: str) -> None:
    given = ("data.batch_size=3", "training.start_share=0.25", "run.folder=elsewhere")
    config = specialise_config({"pairs": "pairs"}, weights, Path("mine"), overrides=given)
    assert (config.data.batch_size, config.training.start_share) == (3, 0.25)
    assert config.run.folder == "mine/run"
    with pytest.raises(InputError, match="start_share"):
        specialise_config(
            {"pairs": "pairs"}, weights, Path("mine"), overrides=["training.start_share=0"]
        )


@pytest.mark.slow
def test_two_folders_serve_as_well(weights: str, tmp_path: Path) -> None:
    tiny.write_pairs(tmp_path / "own", [(8, 8)], 2)
    places = {side: str(tmp_path / "own" / side.upper()) for side in ("lr", "hr")}
    _, notes = images_to_score(specialise_config(places, weights, Path("mine")), 2)
    assert notes == ["LR has no test and no val pairs: nothing shows the gain on your cameras"]


@pytest.mark.parametrize(
    ("splits", "title", "remark"),
    [
        (("train", "val", "test"), "test of pairs", ""),
        (("train", "val"), "val of pairs", "no test pairs"),
        (("train",), "", "nothing shows the gain"),
    ],
)
def test_test_is_scored_or_else_val_and_the_photographs_always(
    splits: tuple[str, ...],
    title: str,
    remark: str,
    weights: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ibsd.commands.specialise.sample_names", lambda: ("astronaut",))
    for split in splits:
        tiny.write_pairs(tmp_path / split, [(8, 8)], 2)
        for side in ("LR", "HR"):
            place = tmp_path / "pairs" / f"{split}_{side}"
            place.parent.mkdir(exist_ok=True)
            (tmp_path / split / side).rename(place)
    config = specialise_config({"pairs": str(tmp_path / "pairs")}, weights, Path("mine"))
    images, notes = images_to_score(config, 2)
    assert list(images) == [name for name in (title, ELSEWHERE) if name]
    assert len(notes) == bool(remark) and remark in "".join(notes)


@pytest.mark.parametrize("name", ["specialised.safetensors", "run/last.safetensors"])
def test_what_it_starts_from_is_never_replaced(name: str, tmp_path: Path) -> None:
    start = save_student(tiny.student(), tmp_path / "mine" / name)
    config = specialise_config({"pairs": "pairs"}, str(start), tmp_path / "mine")
    for resume, force in ((False, True), (True, False)):
        with pytest.raises(InputError, match="would be replaced"):
            claim(tmp_path / "mine", config, resume, force)
    assert start.is_file()
