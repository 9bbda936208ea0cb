"""Every mistake of the user: one sentence that names the place, exit code 2, and nothing of theirs
changed."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from forbidden import forbidden
from ibsd.images.rgb import write_rgb

from .conftest import Call, assert_one_sentence, write_pair


def copy_of(pairs: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pairs, tmp_path / "copy"))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def locked() -> Iterator[Path]:
    """A folder that may not be written to, also where the tests run as root (who then becomes
    nobody for a while)."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            folder.chmod(0o755)


@pytest.mark.parametrize(
    "arguments", [("evaluate", "pairs"), ("export", "--format", "onnx"), ("report",)]
)
def test_a_place_that_may_not_be_looked_into(arguments: tuple[str, ...], ibsd: Call) -> None:
    command, *others = arguments
    ibsd(command, "gone", *others)  # nobody may not be allowed to import
    with forbidden() as folder:
        said = ibsd(command, folder / "inside", *others)
    assert_one_sentence(said, str(folder / "inside"), "Permission denied", "allow it")


# -- pairs, by `evaluate`; `train` reads them by the same functions


def test_missing_folder(ibsd: Call, weights: Path) -> None:
    assert_one_sentence(ibsd("evaluate", weights, "nowhere"), "nowhere", "does not exist")


def test_empty_folder(ibsd: Call, weights: Path, tmp_path: Path) -> None:
    for name in ("test_LR", "test_HR"):
        (tmp_path / "empty" / name).mkdir(parents=True)
    assert_one_sentence(ibsd("evaluate", weights, "empty"), "test_LR", "holds no images")


def test_folder_without_layout(ibsd: Call, weights: Path, tmp_path: Path) -> None:
    assert_one_sentence(ibsd("evaluate", weights, tmp_path), "test_LR", "name the folder that does")


def test_missing_split(ibsd: Call, weights: Path, pairs: Path, tmp_path: Path) -> None:
    folder = copy_of(pairs, tmp_path)
    for side in ("LR", "HR"):
        shutil.rmtree(folder / f"test_{side}")
    assert_one_sentence(ibsd("evaluate", weights, folder), "test_LR", "--split val")


def test_unmatched_names(ibsd: Call, weights: Path, pairs: Path, tmp_path: Path) -> None:
    folder = copy_of(pairs, tmp_path)
    (folder / "test_LR" / "d.png").rename(folder / "test_LR" / "other.png")
    said = ibsd("evaluate", weights, folder)
    assert said.code == 2
    assert "without a partner" in said.err
    assert "test_LR/other.png" in said.err


def test_what_is_wrong_with_train_does_not_keep_test_from_scores(
    ibsd: Call, weights: Path, pairs: Path, tmp_path: Path
) -> None:
    folder = copy_of(pairs, tmp_path)
    next((folder / "train_LR").iterdir()).unlink()
    assert ibsd("evaluate", weights, folder, "--no-lpips").code == 0


def test_all_pairs_of_another_scale_are_one_sentence(
    ibsd: Call, weights: Path, tmp_path: Path
) -> None:
    for k in range(30):
        write_pair(tmp_path / "x3", "test", f"d{k}", k, scale=3)
    assert_one_sentence(
        ibsd("evaluate", weights, "x3"), "all 30 pairs are x3, not x2", "student.scale=3"
    )


def test_the_name_of_the_objective_is_not_said_twice(ibsd: Call, config: Path) -> None:
    said = ibsd("train", config, "objective.name=ibsd", "objective.options={lambda_mi=-1}")
    assert said.code == 2
    assert said.err.startswith("ibsd: lambda_mi is -1")


def test_a_batch_of_one_is_refused_before_training(ibsd: Call, config: Path) -> None:
    given = ("objective.name=ibsd", "objective.options={}", "data.batch_size=1")
    assert_one_sentence(ibsd("train", config, *given), "raise data.batch_size")


@pytest.mark.slow
def test_threads_are_recorded(ibsd: Call, config: Path) -> None:
    assert ibsd("train", config, "run.threads=0", "run.folder=runs/t").code == 0
    assert json.loads(Path("runs/t/run.json").read_text())["threads"] >= 1


def test_wrong_scale(ibsd: Call, weights: Path, tmp_path: Path) -> None:
    write_pair(tmp_path / "x3", "test", "d", 0, scale=3)
    said = ibsd("evaluate", weights, "x3")
    assert said.code == 2
    assert "scale 2" in said.err
    assert "test_HR/d.png" in said.err


@pytest.mark.parametrize(
    "content", [b"", b"this is no picture", b"\x89PNG\r\n\x1a\n and then nothing"]
)
def test_not_an_image(
    content: bytes, ibsd: Call, weights: Path, pairs: Path, tmp_path: Path
) -> None:
    folder = copy_of(pairs, tmp_path)
    (folder / "test_HR" / "d.png").write_bytes(content)
    said = ibsd("evaluate", weights, folder)
    assert said.code == 2
    assert "test_HR/d.png" in said.err
    assert "Traceback" not in said.err


def test_corrupt_image(ibsd: Call, config: Path, pairs: Path, tmp_path: Path) -> None:
    folder = copy_of(pairs, tmp_path)
    damaged = folder / "train_HR" / "a.png"
    damaged.write_bytes(damaged.read_bytes()[:-30])
    said = ibsd("train", config, f"data.pairs={folder}")
    assert said.code == 2
    assert "train_HR/a.png is damaged or cut short" in said.err
    assert not (tmp_path / "runs").exists()


def test_image_of_one_pixel(
    ibsd: Call, config: Path, weights: Path, pairs: Path, tmp_path: Path
) -> None:
    folder = copy_of(pairs, tmp_path)
    for split in ("train", "test"):
        write_rgb(folder / f"{split}_LR" / "dot.png", np.zeros((1, 1, 3), np.uint8))
        write_rgb(folder / f"{split}_HR" / "dot.png", np.zeros((2, 2, 3), np.uint8))
    for said in (ibsd("train", config, f"data.pairs={folder}"), ibsd("evaluate", weights, folder)):
        assert said.code == 2
        assert "dot.png" in said.err


def test_only_one_of_lr_and_hr(ibsd: Call, weights: Path, tmp_path: Path) -> None:
    assert_one_sentence(ibsd("evaluate", weights, "--lr", tmp_path), "--hr")


# -- weights


def test_missing_weights(ibsd: Call, weights: Path, pairs: Path) -> None:
    assert_one_sentence(
        ibsd("evaluate", "no.safetensors", pairs), "no.safetensors", "no such weight file"
    )
    assert_one_sentence(ibsd("evaluate", pairs, weights), "is a folder where weights belong")


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_truncated_weights(
    kept: int, ibsd: Call, weights: Path, pairs: Path, tmp_path: Path
) -> None:
    (tmp_path / "cut.safetensors").write_bytes(weights.read_bytes()[:kept])
    assert_one_sentence(ibsd("evaluate", "cut.safetensors", pairs), "cut.safetensors", "truncated")


def test_weights_of_another_network(ibsd: Call, pairs: Path, tmp_path: Path) -> None:
    torch.save({"conv.weight": torch.zeros(3, 3, 3, 3)}, tmp_path / "other.pth")
    assert_one_sentence(
        ibsd("evaluate", "other.pth", pairs), "other.pth", "no network that ibsd knows"
    )


def test_weights_of_two_scales(ibsd: Call, weights: Path, pairs: Path, tmp_path: Path) -> None:
    from ibsd.export.weights import save_student
    from ibsd.students import create_student

    save_student(create_student("imdn", 3, width=8, num_blocks=3), tmp_path / "three.safetensors")
    assert_one_sentence(
        ibsd("evaluate", weights, "three.safetensors", pairs), "x2", "three.safetensors for x3"
    )


def test_training_from_weights_of_another_scale(ibsd: Call, config: Path, weights: Path) -> None:
    assert_one_sentence(
        ibsd("train", config, "student.scale=3", f"student.weights={weights}"), "imdn x2", "imdn x3"
    )


# -- configs


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("student.name=vdsr", ["student.name", "vdsr", "imdn"]),
        ("objective.name=magic", ["objective.name", "magic", "plain"]),
        ("training.steps=3", ["training.steps=3: unknown key 'training.steps'"]),
        ("objective.options.lamda_mi=1", ["lamda_mi", "did you mean 'lambda_mi'"]),
        ("training.num_steps=soon", ["training.num_steps", "'soon'", "whole number"]),
        ("training.num_steps=0", ["training.num_steps", "at least 1"]),
        ("training.learning_rate=-1", ["training.learning_rate", "above 0"]),
        ("student.scale=5", ["student.scale", "1, 2, 3 or 4"]),
        ("run.device=abacus", ["run.device", "abacus"]),
        ("data.pairs=nowhere", ["nowhere", "does not exist"]),
        ("nonsense", ["nonsense", "section.key=value"]),
    ],
)
def test_wrong_settings(
    override: str, words: list[str], ibsd: Call, config: Path, tmp_path: Path
) -> None:
    assert_one_sentence(ibsd("train", config, override), *words)
    assert not (tmp_path / "runs").exists()


def test_missing_and_broken_config(ibsd: Call, tmp_path: Path) -> None:
    assert_one_sentence(ibsd("train", "no.toml"), "no.toml", "no such config file")
    (tmp_path / "broken.toml").write_text("[student\n")
    assert_one_sentence(ibsd("train", "broken.toml"), "broken.toml", "not valid TOML")


# -- outputs


def test_scores_exist(ibsd: Call, weights: Path, pairs: Path, tmp_path: Path) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "scores.csv").write_text("mine")
    assert_one_sentence(
        ibsd("evaluate", weights, pairs, "-o", "scores"), "scores.csv exists already", "--force"
    )
    assert tree(tmp_path / "scores") == {"scores.csv": b"mine"}


def test_run_exists(ibsd: Call, config: Path, tmp_path: Path) -> None:
    (tmp_path / "runs" / "tiny").mkdir(parents=True)
    (tmp_path / "runs" / "tiny" / "run.json").write_text("{}")
    assert_one_sentence(ibsd("train", config), "holds a run already", "--resume")
    assert tree(tmp_path / "runs") == {"tiny/run.json": b"{}"}


def test_picture_exists(ibsd: Call, weights: Path, tmp_path: Path) -> None:
    write_rgb(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "out.png").write_text("mine")
    assert_one_sentence(
        ibsd("upscale", "a.png", "-o", "out.png", "--weights", weights),
        "out.png exists already",
        "--force",
    )
    assert (tmp_path / "out.png").read_text() == "mine"


def test_demo_folder_is_somebody_elses(ibsd: Call, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "scores.json").write_text("mine")
    assert_one_sentence(ibsd("demo", "-o", "mine", "--force"), "mine holds scores.json", "--output")
    assert tree(tmp_path / "mine") == {"scores.json": b"mine"}


def test_demo_exists(ibsd: Call, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / ".ibsd-demo").touch()
    assert_one_sentence(ibsd("demo", "-o", "demo"), "earlier demo", "--force")


def test_no_permission(
    ibsd: Call, config: Path, weights: Path, pairs: Path, tmp_path: Path, locked: Path
) -> None:
    with as_root():
        write_rgb(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
        for path in (tmp_path, *tmp_path.parents, pairs, weights.parent):
            if path.is_relative_to(tempfile.gettempdir()) and path != Path(tempfile.gettempdir()):
                path.chmod(0o755)
    assert_one_sentence(
        ibsd("train", config, f"run.folder={locked}/run"), str(locked), "cannot be written to"
    )
    assert_one_sentence(
        ibsd("evaluate", weights, pairs, "--no-lpips", "-o", locked / "out"),
        str(locked),
        "ermission denied",
    )
    assert_one_sentence(
        ibsd("upscale", "a.png", "-o", locked / "out", "--weights", weights),
        str(locked),
        "ermission denied",
    )
    assert_one_sentence(ibsd("demo", "-o", locked / "out"), str(locked), "ermission denied")
    assert list(locked.iterdir()) == []


@pytest.mark.parametrize(
    ("command", "work"),
    [
        ("evaluate", "ibsd.commands.evaluate.score_pairs"),
        ("doctor", "ibsd.commands.doctor.examine_pairs"),
        ("efficiency", "ibsd.commands.efficiency.measure_networks"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_the_work(
    command: str, work: str, ibsd: Call, weights: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, None)
    Path("file").touch()
    given = {"evaluate": (weights, pairs), "doctor": (pairs,), "efficiency": (weights,)}[command]
    said = ibsd(command, *given, "-o", "file/below/figures")
    assert_one_sentence(said, "file/below", "cannot be written to")


class as_root:  # noqa: N801  (reads as a phrase)
    """Undoes, within, what `locked` did to the user."""

    def __enter__(self) -> None:
        self.user = os.geteuid()
        os.seteuid(os.getuid())

    def __exit__(self, *_: object) -> None:
        os.seteuid(self.user)


# -- upscaling


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no.png", "-o", "out"], ["no.png", "does not exist"]),
        (["empty", "-o", "out"], ["empty", "holds no images"]),
        (["notes.txt", "-o", "out"], ["notes.txt", "not named as an image"]),
        (["a.png", "-o", "out", "--tile", "3"], ["tile is 3", "16"]),
        (["a.png", "-o", "out", "--tile", "big"], ["--tile is 'big'", "none"]),
        (["a.png", "-o", "out", "--format", "gif"], ["gif", "png"]),
        (["a.png", "-o", "out", "--device", "abacus"], ["--device", "abacus"]),
        (["a.png"], ["-o FOLDER"]),
    ],
)
def test_wrong_upscaling(
    arguments: list[str], words: list[str], ibsd: Call, weights: Path, tmp_path: Path
) -> None:
    write_rgb(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "notes.txt").write_text("notes")
    (tmp_path / "empty").mkdir()
    assert_one_sentence(ibsd("upscale", *arguments, "--weights", weights), *words)
    assert not (tmp_path / "out").exists()


def test_bad_pictures_are_named_and_the_others_done(
    ibsd: Call, weights: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_rgb(folder / "good.png", np.zeros((8, 8, 3), np.uint8))
    write_rgb(folder / "dot.png", np.zeros((1, 1, 3), np.uint8))
    (folder / "text.jpg").write_text("this is no picture")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(folder / "deep.tif")
    said = ibsd("upscale", folder, "-o", "out", "--weights", weights)
    assert said.code == 2
    assert "2 of 4 upscaled, 2 left out" in said.err
    assert "text.jpg" in said.err
    assert "deep.tif has float numbers" in said.err
    assert "Traceback" not in said.err
    assert sorted(tree(tmp_path / "out")) == ["dot.png", "good.png"]


def test_a_name_that_is_not_utf8(ibsd: Call, weights: Path, tmp_path: Path) -> None:
    """The whole folder is upscaled, and the name is kept to the byte."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in (b"\xff\xfe\x80.png", b"a.png"):
        write_rgb(folder / os.fsdecode(name), np.zeros((8, 8, 3), np.uint8))
    said = ibsd("upscale", folder, "-o", "out", "--weights", weights)
    assert said.code == 0, said.err
    assert sorted(os.listdir(os.fsencode(tmp_path / "out"))) == [b"a.png", b"\xff\xfe\x80.png"]
    assert ibsd("upscale", folder, "-o", "out2", "--weights", weights, "--json").code == 0
    (folder / os.fsdecode(b"\xff.jpg")).write_text("no picture")
    said = ibsd("upscale", folder, "-o", "out3", "--weights", weights)
    assert (said.code, "Traceback" in said.err) == (2, False), said.err
    assert "2 of 3 upscaled" in said.err


def test_pairs_whose_names_are_not_utf8(
    ibsd: Call, weights: Path, pairs: Path, tmp_path: Path
) -> None:
    folder = copy_of(pairs, tmp_path)
    for side in ("LR", "HR"):
        (folder / f"test_{side}" / "d.png").rename(
            folder / f"test_{side}" / os.fsdecode(b"\xff.png")
        )
    said = ibsd("evaluate", weights, folder, "--no-lpips", "-o", "scores")
    assert said.code == 0, said.err


def test_brackets_and_commands_to_the_terminal_in_names(
    ibsd: Call, weights: Path, pairs: Path, tmp_path: Path
) -> None:
    folder = copy_of(pairs, tmp_path)
    for side in ("LR", "HR"):
        (folder / f"test_{side}" / "d.png").rename(folder / f"test_{side}" / "[b]\x1b[2J.png")
    shutil.copy(weights, tmp_path / "[red].safetensors")
    said = ibsd("evaluate", "[red].safetensors", folder, "--no-lpips")
    assert said.code == 0, said.err
    assert "[b]\\x1b[2J" in said.out
    assert "[red]" in said.out
    assert "\x1b" not in said.out + ibsd("evaluate", "\x1b[2J", folder).err


def test_weights_are_trained_only_where_they_can_be_read(ibsd: Call, config: Path) -> None:
    folder = os.fsdecode(b"\xff")
    assert_one_sentence(ibsd("train", config, f"run.folder={folder}"), "not UTF-8: rename it")
    assert not Path(folder).exists()


@pytest.mark.parametrize("name", ["", ".", "/"])
@pytest.mark.parametrize("command", ["upscale", "evaluate", "export", "efficiency"])
def test_a_folder_for_weights(
    ibsd: Call, pairs: Path, tmp_path: Path, command: str, name: str
) -> None:
    write_rgb(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    arguments = {
        "upscale": ("a.png", "-o", "out", "--weights", name),
        "evaluate": (name, pairs, "-o", "out"),
        "export": (name, "--format", "onnx"),
        "efficiency": (name,),
    }
    said = ibsd(command, *arguments[command])
    assert (said.code, "Traceback" in said.err) == (2, False), said.err
    assert said.err.splitlines()[-1].startswith("ibsd: ")


def test_a_working_folder_that_is_gone(ibsd: Call, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    os.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert_one_sentence(ibsd("models"), "working folder is gone")


@pytest.mark.slow
def test_closed_streams(ibsd: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python gives None for a stream that was closed when it started."""
    from ibsd.cli.main import main

    for name in ("stdout", "stderr"):
        for arguments, code in ((["--version"], 0), (["nope"], 2)):
            with monkeypatch.context() as closed:
                closed.setattr(f"sys.{name}", None)
                assert main(arguments) == code
                getattr(sys, name).close()
