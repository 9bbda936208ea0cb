"""Laws of upscaling files: checked before the first pixel, nothing of the user's lost, bad files
reported and the others done."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ibsd.images import read_rgb, read_with_pillow, write_rgb
from ibsd.types import InputError
from ibsd.upscaling import FileResult, summary_of_files, upscale_files
from upscaling.fakes import Nearest


def picture(path: Path, height: int = 3, width: int = 5, seed: int = 0) -> np.ndarray:
    array = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_rgb(path, array)
    return array


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Untouched(Nearest):
    """Must not run: the mistake was to be found before."""

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        raise AssertionError("a pixel was computed")


def refused(
    tmp_path: Path, inputs: list[Path], output: Path, words: str, **options: object
) -> None:
    before = tree(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        upscale_files(inputs, output, Untouched(), **options)  # pyright: ignore
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before


def test_one_file_to_a_name_and_to_a_folder(tmp_path: Path) -> None:
    array = picture(tmp_path / "a.png")
    bigger = array.repeat(2, 0).repeat(2, 1)
    assert upscale_files([tmp_path / "a.png"], tmp_path / "new" / "b.tif", Nearest()) == [
        FileResult(tmp_path / "a.png", tmp_path / "new" / "b.tif", pixels=bigger[..., 0].size)
    ]
    assert np.array_equal(read_rgb(tmp_path / "new" / "b.tif"), bigger)
    (result,) = upscale_files(
        [str(tmp_path / "a.png")], str(tmp_path / "out"), Nearest(), suffix="_x2", format="BMP"
    )
    assert result.target == tmp_path / "out" / "a_x2.bmp"
    assert np.array_equal(read_rgb(result.target), bigger)


def test_folders_are_mirrored_and_the_rest_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    for name in ("a.png", "sub/b.PNG", "sub/deep/c.jpg", "sub/.hidden.png", ".cache/d.png"):
        picture(folder / name)
    (folder / "notes.txt").write_text("notes")
    (folder / "._a.png").write_bytes(b"of macOS")
    before = tree(folder)
    results = upscale_files([folder], tmp_path / "out", Nearest(3))
    assert list(tree(tmp_path / "out")) == ["a.png", "sub/b.PNG", "sub/deep/c.jpg"]
    assert read_rgb(tmp_path / "out" / "sub" / "deep" / "c.jpg").shape == (9, 15, 3)
    assert [str(result.source.relative_to(folder)) for result in results] == list(
        tree(tmp_path / "out")
    )
    assert tree(folder) == before


def test_an_output_inside_the_input_is_not_upscaled_again(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    upscale_files([tmp_path], tmp_path / "big", Nearest())
    upscale_files([tmp_path], tmp_path / "big", Nearest(), force=True)
    assert list(tree(tmp_path)) == ["a.png", "big/a.png"]
    assert read_rgb(tmp_path / "big" / "a.png").shape == (6, 10, 3)


def test_alpha_grey_orientation_and_metadata_arrive(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 8, "Maker"
    stored = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (3, 5, 2), dtype=np.uint8), "LA"
    )
    stored.save(tmp_path / "a.png", exif=exif)
    (result,) = upscale_files([tmp_path / "a.png"], tmp_path / "out", Nearest())
    header = read_with_pillow(result.target).header
    assert header.grey
    assert header.alpha
    assert (header.height, header.width) == (10, 6)
    assert b"Maker" in (header.exif or b"")
    with Image.open(result.target) as image:
        assert image.getexif().get(0x0112, 1) == 1


def test_a_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    good = picture(folder / "a.png")
    (folder / "b.png").write_text("not an image")
    (folder / "c.jpg").write_bytes(b"")
    (folder / "d.png").symlink_to(tmp_path / "nowhere")
    Image.new("RGBA", (4, 4)).save(folder / "e.jpg", "PNG")
    picture(folder / "f.png", 1, 1)
    seen: list[tuple[str, int, int]] = []
    tiles: list[tuple[int, int]] = []
    results = upscale_files(
        [folder],
        tmp_path / "out",
        Nearest(),
        on_file=lambda result, done, total: seen.append((result.source.name, done, total)),
        on_tile=lambda done, total: tiles.append((done, total)),
    )
    assert [result.error is None for result in results] == [True, False, False, False, False, True]
    assert all(str(result.source) in str(result.error) for result in results[1:4])
    assert "transparency" in str(results[4].error)
    assert seen == [
        (f"{letter}", k, 6)
        for k, letter in enumerate(["a.png", "b.png", "c.jpg", "d.png", "e.jpg", "f.png"], start=1)
    ]
    assert tiles == [(1, 1)] * 2
    assert list(tree(tmp_path / "out")) == ["a.png", "f.png"]
    assert np.array_equal(read_rgb(tmp_path / "out" / "a.png"), good.repeat(2, 0).repeat(2, 1))
    lines = summary_of_files(results).splitlines()
    assert lines[0] == "2 of 6 upscaled, 4 left out:"
    assert len(lines) == 5
    assert summary_of_files(results[:1]) == "1 of 1 upscaled."


def test_missing_and_empty_inputs(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "empty" / "sub").mkdir(parents=True)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("text")
    refused(tmp_path, [], tmp_path / "out", "nothing to upscale")
    refused(
        tmp_path,
        [tmp_path / "a.png", tmp_path / "missing"],
        tmp_path / "out",
        "missing does not exist",
    )
    refused(tmp_path, [tmp_path / "a.png" / "b.png"], tmp_path / "out", "does not exist")
    refused(tmp_path, [tmp_path / "empty"], tmp_path / "out", "empty holds no images")
    refused(tmp_path, [tmp_path / "texts"], tmp_path / "out", "texts holds no images")
    refused(tmp_path, [tmp_path / "texts" / "a.txt"], tmp_path / "out", "not named as an image")
    assert not (tmp_path / "out").exists()


def test_an_output_that_exists_is_kept_unless_forced(tmp_path: Path) -> None:
    for name in ("in/a.png", "in/b.png", "in/c.png"):
        picture(tmp_path / name)
    for name in ("b.png", "c.png"):
        picture(tmp_path / "out" / name, seed=1)
    refused(tmp_path, [tmp_path / "in"], tmp_path / "out", r"b\.png \(and 1 more\) exists already")
    refused(
        tmp_path, [tmp_path / "in" / "a.png"], tmp_path / "out" / "b.png", r"b\.png exists already"
    )
    upscale_files([tmp_path / "in"], tmp_path / "out", Nearest(), force=True)
    assert all(
        read_rgb(tmp_path / "out" / name).shape == (6, 10, 3)
        for name in ("a.png", "b.png", "c.png")
    )


def test_an_input_is_never_replaced_even_with_force(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "a_x2.png")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "other").mkdir()
    os.link(tmp_path / "a.png", tmp_path / "other" / "a.png")
    for output, options in [
        (tmp_path, {}),
        (tmp_path / "a.png", {}),
        (tmp_path / "link", {}),
        (tmp_path / "other", {}),
    ]:
        refused(tmp_path, [tmp_path / "a.png"], output, "itself an input", force=True, **options)
    refused(
        tmp_path,
        [tmp_path / "a.png", tmp_path / "a_x2.png"],
        tmp_path,
        "itself an input",
        force=True,
        suffix="_x2",
    )


def test_two_inputs_for_one_output(tmp_path: Path) -> None:
    for name in ("one/a.png", "two/a.png", "one/a.bmp"):
        picture(tmp_path / name)
    refused(
        tmp_path, [tmp_path / "one", tmp_path / "two"], tmp_path / "out", "both become", force=True
    )
    refused(tmp_path, [tmp_path / "one"], tmp_path / "out", "both become", force=True, format="png")
    refused(
        tmp_path,
        [tmp_path / "one" / "a.png", tmp_path / "two" / "a.png"],
        tmp_path / "b.png",
        "name of one file",
    )
    same = [tmp_path / "two", tmp_path / "two" / "a.png", tmp_path / "two"]
    assert len(upscale_files(same, tmp_path / "out", Nearest())) == 1


def test_outputs_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "out" / "a.png").mkdir(parents=True)
    refused(tmp_path, [tmp_path / "a.png"], tmp_path / "file", "no folder")
    refused(tmp_path, [tmp_path / "a.png"], tmp_path / "file" / "sub", "cannot be written to")
    refused(tmp_path, [tmp_path / "a.png"], tmp_path / "file" / "b.png", "cannot be written to")
    refused(tmp_path, [tmp_path / "a.png"], tmp_path / "out", "is a folder", force=True)
    refused(tmp_path, [tmp_path / "a.png"], Path("/proc/ibsd"), "/proc/ibsd cannot be written to")

    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", forbidden)
    refused(
        tmp_path,
        [tmp_path / "a.png"],
        tmp_path / "new",
        "new cannot be written to .Permission denied",
    )


def test_options_that_make_no_sense(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    for words, output, options in [
        ("format is 'gif'", "out", {"format": "gif"}),
        ("suffix is 'b/c'", "out", {"suffix": "b/c"}),
        ("leave out suffix and format", "b.png", {"suffix": "_x2"}),
        ("tile is 3", "out", {"tile": 3}),
        ("made for scale 2", "out", {"scale": 4}),
    ]:
        refused(tmp_path, [tmp_path / "a.png"], tmp_path / output, words, **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), OSError(5, "Input/output error"), KeyboardInterrupt()],
)
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """A full disk ends the folder, as nothing that comes after could be written; of another error
    the others know nothing."""
    for name in ("a.png", "b.png"):
        picture(tmp_path / "in" / name)
        picture(tmp_path / "out" / name, seed=1)
    before = tree(tmp_path)

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, "replace", fail)
    if getattr(error, "errno", 0) == 5:
        results = upscale_files([tmp_path / "in"], tmp_path / "out", Nearest(), force=True)
        assert ["Input/output error" in str(result.error) for result in results] == [True, True]
    elif isinstance(error, OSError):
        with pytest.raises(
            InputError,
            match="out/a.png cannot be written .No space left on device.*; "
            "0 of 2 are done, go on with",
        ):
            upscale_files([tmp_path / "in"], tmp_path / "out", Nearest(), force=True)
    else:
        with pytest.raises(KeyboardInterrupt):
            upscale_files([tmp_path / "in"], tmp_path / "out", Nearest(), force=True)
    assert tree(tmp_path) == before


def test_a_folder_into_itself_goes_on_with_skip_existing(tmp_path: Path) -> None:
    """The results of the first run are no photographs to upscale in the second."""
    for name in ("a.png", "sub/b.png"):
        picture(tmp_path / "same" / name)
    upscale_files([tmp_path / "same"], tmp_path / "same", Nearest(), suffix="_x2")
    (tmp_path / "same" / "a_x2.png").unlink()
    results = upscale_files(
        [tmp_path / "same"], tmp_path / "same", Nearest(), suffix="_x2", skip_existing=True
    )
    assert [(result.target.name, result.skipped) for result in results] == [
        ("a_x2.png", False),
        ("b_x2.png", True),
    ]
    assert sorted(tree(tmp_path / "same")) == ["a.png", "a_x2.png", "sub/b.png", "sub/b_x2.png"]


@pytest.mark.parametrize("name", ["x.gif", "x.jxl", "new/x.PSD"])
def test_an_image_that_cannot_be_written_is_no_folder(tmp_path: Path, name: str) -> None:
    picture(tmp_path / "a.png")
    refused(tmp_path, [tmp_path / "a.png"], tmp_path / name, "does not end in the name of an image")
    (tmp_path / name).mkdir(parents=True)  # a folder of that name is one
    assert upscale_files([tmp_path / "a.png"], tmp_path / name, Nearest())[0].error is None
