"""What a run writes down about itself: who goes on with other pairs, code or versions hears it; the
same bits come again on demand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cli.conftest import Call, config, ibsd, pairs  # noqa: F401  (fixtures)
from ibsd.images.rgb import read_rgb, write_rgb

HALF = ("training.num_steps=4",)


def other_pixels(tmp_path: Path) -> None:
    folder = tmp_path / "pairs"
    for side in ("LR", "HR"):
        path = folder / f"train_{side}" / "a.png"
        write_rgb(path, np.ascontiguousarray(255 - read_rgb(path)))


def everything(tmp_path: Path) -> None:
    other_pixels(tmp_path)
    path = tmp_path / "runs" / "tiny" / "run.json"
    facts = json.loads(path.read_text())
    facts["numerics"].update(training=0)
    facts["versions"].update(torch="2.0.0")
    path.write_text(json.dumps(facts))


CHANGED = (
    "the training or validation pairs have changed since this run was started",
    "the arithmetic has changed since this run was started: numerics.training 0 -> ",
    "this run was started with torch 2.0.0, now",
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "sentences"), [(everything, CHANGED), (lambda tmp_path: None, ())]
)
def test_a_resume_that_meets_something_else_says_so(
    change: Callable[[Path], None],
    sentences: tuple[str, ...],
    ibsd: Call,  # noqa: F811
    config: Path,  # noqa: F811
    pairs: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Through the whole command; what the run was made with before stays in run.json and in the
    weights."""
    shutil.copytree(pairs, tmp_path / "pairs")
    command = ("train", config, "data.pairs=pairs")
    assert ibsd(*command, *HALF).code == 0
    change(tmp_path)
    said = ibsd(*command, "--resume")
    assert said.code == 0, said.err
    facts = json.loads((tmp_path / "runs" / "tiny" / "run.json").read_text())
    assert facts.keys() >= {
        "config",
        "data",
        "versions",
        "numerics",
        "processes",
        "before",
        "result",
    }
    assert facts["versions"].keys() >= {"ibsd", "torch", "python", "commit"}
    assert all(sentence in said.err for sentence in sentences)
    assert ("since this run was started" in said.err) == bool(sentences)
    assert len(facts["before"]) == (1 if sentences else 0)
    header = (tmp_path / "runs" / "tiny" / "last.safetensors").read_bytes()
    stored = json.loads(
        json.loads(header[8 : 8 + int.from_bytes(header[:8], "little")])["__metadata__"]["run"]
    )
    assert stored["before"] == facts["before"]
    assert stored["data"] == facts["data"]


@pytest.mark.slow
def test_deterministic_gives_the_same_bits_twice(ibsd: Call, config: Path, tmp_path: Path) -> None:  # noqa: F811
    """On this machine's CPU; of CUDA it says to torch and cuBLAS what they ask for, and they do the
    rest."""
    for name in ("one", "two"):
        said = ibsd("train", config, f"run.folder={name}", "--deterministic")
        assert said.code == 0, said.err
        assert (
            json.loads((tmp_path / name / "run.json").read_text())["config"]["run"]["deterministic"]
            is True
        )
    assert not torch.are_deterministic_algorithms_enabled()
    for weights in ("last", "last-raw", "best"):
        one, two = (
            (tmp_path / name / f"{weights}.safetensors").read_bytes() for name in ("one", "two")
        )
        assert [each[8 + int.from_bytes(each[:8], "little") :] for each in (one,)] == [
            two[8 + int.from_bytes(two[:8], "little") :]
        ]


def test_the_files_of_a_run_without_its_record_are_kept(
    ibsd: Call,  # noqa: F811
    config: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    folder = tmp_path / "runs" / "tiny"
    for name in ("checkpoints/step-00000002", "log.jsonl", "last.safetensors"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        for options in ((), ("--resume",)):
            said = ibsd("train", config, "run.folder=runs/tiny", *options)
            assert said.code == 2
            assert f"holds {name.partition('/')[0]} and no run.json" in said.err
        assert path.read_text() == "mine"
        shutil.rmtree(folder)


@pytest.mark.parametrize("content", ["[" * 100_000, "7", "{}", '{"config": [1]}'])
def test_a_damaged_record_is_one_sentence(
    ibsd: Call,  # noqa: F811
    config: Path,  # noqa: F811
    content: str,
    tmp_path: Path,
) -> None:
    folder = tmp_path / "runs" / "tiny"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(content)
    said = ibsd("train", config, "run.folder=runs/tiny", "--resume")
    assert said.code == 2
    assert "run.json is damaged" in said.err
    (folder / "best.safetensors").mkdir()
    said = ibsd("train", config, "run.folder=runs/tiny", "--resume")
    assert "best.safetensors is no file" in said.err
