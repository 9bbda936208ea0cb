"""Tiny pairs, weights and configs, and a way to call the command line and look at all that it
said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from ibsd.cli.main import main
from ibsd.export.weights import save_student
from ibsd.images.rgb import write_rgb
from ibsd.students import create_student

SCALE = 2


class Said(NamedTuple):
    """What a call of the command line came to."""

    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def ibsd(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Call:
    """`ibsd(arguments...)` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Said:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Said(code, captured.out, captured.err)

    return call


def write_pair(
    folder: Path, split: str, name: str, seed: int, lr_px: int = 16, scale: int = SCALE
) -> None:
    """A smooth random picture and every `scale`-th pixel of it."""
    coarse = (
        np.random.default_rng(seed)
        .integers(0, 256, (lr_px // 4 + 1, lr_px // 4 + 1, 3))
        .repeat(4 * scale, 0)
        .repeat(4 * scale, 1)
    )
    hr = coarse[: lr_px * scale, : lr_px * scale].astype(np.uint8)
    for side, image in (("LR", hr[::scale, ::scale]), ("HR", hr)):
        (folder / f"{split}_{side}").mkdir(parents=True, exist_ok=True)
        write_rgb(folder / f"{split}_{side}" / f"{name}.png", np.ascontiguousarray(image))


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the published layout: two pairs to train on, one for val, one for test. Not to be
    changed."""
    folder = tmp_path_factory.mktemp("pairs")
    for seed, (split, name) in enumerate(
        (("train", "a"), ("train", "b"), ("val", "c"), ("test", "d"))
    ):
        write_pair(folder, split, name, seed)
    return folder


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a very small x2 network. Not to be changed."""
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    return save_student(create_student("imdn", SCALE, width=8, num_blocks=3), path)


@pytest.fixture
def config(tmp_path: Path, pairs: Path) -> Path:
    """A config of six steps."""
    path = tmp_path / "tiny.toml"
    path.write_text(
        f"""
        student = {{ name = "imdn", scale = {SCALE}, options = {{ width = 8, num_blocks = 3 }} }}
        data = {{ pairs = "{pairs}", batch_size = 2, patch_px = 8 }}
        objective = {{ name = "ibsd", options = {{ warm_up = 1, ramp = 2, period = 2 }} }}
        run = {{ threads = 1 }}
        [training]
        num_steps = 6
        log_every = 1
        diagnostics_every = 3
        validate_every = 3
        checkpoint_every = 2
        """,
        encoding="utf-8",
    )
    return path


def assert_one_sentence(said: Said, *words: str) -> None:
    """Exit code 2, nothing on stdout, and on stderr one line that holds the words. `ibsd upscale`
    may have said before what it opens."""
    assert (said.code, said.out) == (2, ""), said
    *before, sentence = said.err.removesuffix("\n").split("\n")
    assert sentence.startswith("ibsd: "), said.err
    assert all(line.startswith("opening ") for line in before), said.err
    assert "Traceback" not in said.err
    for word in words:
        assert word in said.err, f"{word!r} is not in {said.err!r}"
