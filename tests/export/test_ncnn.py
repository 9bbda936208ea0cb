"""ncnn exports: what torch computes, under the blob names that other programs expect."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tiny
from export import laws
from ibsd.export.graph import exported_descriptor
from ibsd.export.ncnn import open_ncnn
from ibsd.inference.parity import certificate_picture
from ibsd.types import InputError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(exported: Callable[[str], Path]) -> Path:
    return exported("ncnn")


def test_it_gives_what_torch_gives(model: Path) -> None:
    network = open_ncnn(model, exported_descriptor(tiny.student(scale=3)))
    for size in laws.SIZES:
        lr = certificate_picture(*size)
        assert np.abs(network(lr) - laws.reference(lr)).max() < 1e-5


def test_the_certificate_says_what_was_run(model: Path, folder: Path) -> None:
    laws.certificate_says_what_was_run(model, folder / "tiny.safetensors")


def test_its_files_and_blobs_have_the_usual_names(model: Path) -> None:
    lines = model.read_text().splitlines()
    assert lines[0] == "7767517"
    assert lines[2].split() == ["Input", "data", "0", "1", "data"]
    assert sum(line.split()[-1] == "output" or " output " in line for line in lines) == 1
    assert sorted(file.name for file in model.parent.glob("*ncnn*")) == [
        "tiny-ncnn.bin",
        "tiny-ncnn.param",
        "tiny-ncnn.param.certificate.json",
    ]


def test_a_file_that_is_no_model_is_refused(model: Path, tmp_path: Path) -> None:
    (tmp_path / "a.param").write_text("nothing")
    with pytest.raises(InputError, match=r"a\.param cannot be read as an ncnn model"):
        open_ncnn(tmp_path / "a.param", exported_descriptor(tiny.student(scale=3)))
