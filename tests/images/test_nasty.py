"""A folder of forty nasty files through the real command line: file a clear sentence or the right
result, and the run goes on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ibsd.export.weights import save_student
from ibsd.images import open_photograph
from ibsd.images.vips_reader import vips_reason
from ibsd.students import create_student
from ibsd.upscaling import upscale_files
from images.nasty import NASTY, Nasty
from images.oracles import odd_profile
from upscaling.fakes import Nearest

pytest.importorskip("pyvips")


AND_ITS_MEMORY = """
from ibsd.__main__ import main
from ibsd.system import largest_resident_bytes
code = main()
print(largest_resident_bytes(), flush=True)
raise SystemExit(code)
"""
"""`python -m ibsd` that ends with the most it held, seen from inside: what Linux tells a parent
(ru_maxrss) counts the parent's own memory."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nasty")
    for file in NASTY:
        file.make(folder / file.name)
    return folder


def test_there_are_forty() -> None:
    assert len({file.name for file in NASTY}) == len(NASTY) == 40
    assert 10 < sum(file.sentence is None for file in NASTY) < 30


@pytest.mark.slow
def test_each_is_a_sentence_or_right(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Through a network that repeats every pixel, so that the right result is known."""
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    results = {
        result.source.name: result
        for result in upscale_files([folder], tmp_path / "out", Nearest(2))
    }
    for file in NASTY:
        result = results[file.name]
        if file.sentence:
            assert result.error and re.search(file.sentence, result.error), (
                f"{file.name}: {result.error}"
            )
            assert str(result.source) in result.error or str(result.target) in result.error
            assert "\n" not in result.error and result.error.endswith("."), result.error
            assert not result.target.exists()
        else:
            assert result.error is None, result.error
            check(file, result.source, result.target)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        file.name for file in NASTY if file.sentence is None
    }
    assert before == {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert capfd.readouterr().err == ""  # libraries below would warn there


def check(file: Nasty, source: Path, target: Path) -> None:
    assert file.right is not None
    expected = file.right(source).repeat(2, 0).repeat(2, 1)
    photograph = open_photograph(target)
    found = photograph.read(photograph.header.height)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype), file.name
    if (
        photograph.header.alpha
    ):  # opacity is interpolated; what can be seen well inside keeps its colour
        same = (expected[..., -1] > 0) & (found[..., -1] > 0)
        found, expected = found[same][:, :-1], expected[same][:, :-1]
    off = np.abs(found.astype(int) - expected.astype(int)).max()
    assert off <= file.tolerance, f"{file.name} is off by {off}"
    with Image.open(target) as image:
        assert image.getexif().get(0x0112, 1) == 1
        if file.name == "odd-profile.png":
            assert image.info["icc_profile"] == odd_profile()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_what_never_ends_holds_nothing_up(tmp_path: Path) -> None:
    """A pipe that nobody writes to and a device, both named as pictures, in a folder."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zeros.tif").symlink_to("/dev/zero")
    Image.new("RGB", (3, 4)).save(tmp_path / "picture.png")
    results = upscale_files([tmp_path], tmp_path / "out", Nearest(2))
    assert [
        result.source.name
        for result in results
        if result.error and "is no file but a pipe or a device" in result.error
    ] == [
        "pipe.png",
        "zeros.tif",
    ]
    assert results[0].target.exists()


def test_a_bare_code_is_no_reason() -> None:
    """libheif ends its reports with one, in a line of its own."""
    said = "cut.avif: bad seek to 885\nheif: Invalid input: Unexpected end of file\n (2.100)\n"
    assert vips_reason(Exception(said)) == "heif: Invalid input: Unexpected end of file"


@pytest.mark.slow
def test_the_command_line_survives_them_all_in_little_memory(folder: Path, tmp_path: Path) -> None:
    weights = save_student(
        create_student("imdn", 2, width=4, num_blocks=3), tmp_path / "tiny.safetensors"
    )
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "dot.png").write_text("mine")
    command = [
        sys.executable,
        "-c",
        AND_ITS_MEMORY,
        "upscale",
        str(folder),
        "-o",
        str(tmp_path / "out"),
        "--weights",
        str(weights),
        "--skip-existing",
    ]
    with (tmp_path / "said").open("w+") as said:
        code = subprocess.call(
            command,
            stdout=said,
            stderr=said,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    text = (tmp_path / "said").read_text()
    refused = sum(file.sentence is not None for file in NASTY)
    assert code == 2
    assert f"{40 - refused - 1} of 40 upscaled, 1 there already, {refused} left out:" in text
    assert "Traceback" not in text and "VIPS" not in text and "warning" not in text.lower()
    assert (tmp_path / "out" / "dot.png").read_text() == "mine"
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    assert int(text.splitlines()[-1]) < 1.5 * 2**30
