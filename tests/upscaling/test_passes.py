"""Several passes equal one of the product's scale, row by row, and then libvips shrinks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ibsd.images import InMemory, PhotographHeader, open_photograph, write_photograph
from ibsd.inference.network import as_network
from ibsd.types import InputError
from ibsd.upscaling import Size, upscale_files
from ibsd.upscaling.passes import enlarged
from upscaling.fakes import Nearest


def photograph(height: int, width: int, alpha: bool = False) -> InMemory:
    header = PhotographHeader(height, width, alpha=alpha)
    shape = (height, width, header.channels)
    return InMemory(header, np.random.default_rng(0).integers(1, 256, shape, dtype=np.uint8))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_passes_multiply(count: int) -> None:
    source = photograph(41, 23)
    with as_network(Nearest(2)) as network:
        header, strips = enlarged(source, network, count, tile=16)
        rows = np.concatenate(list(strips))
    times = 2**count
    assert (header.height, header.width) == (41 * times, 23 * times)
    assert np.array_equal(rows, source.pixels.repeat(times, 0).repeat(times, 1))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff"])
def test_a_plain_picture_stays_plain_at_any_size(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("pyvips")
    header = PhotographHeader(31, 47, alpha=suffix == ".png")
    colour = np.array([200, 100, 50, 128][: header.channels], np.uint8)
    write_photograph(tmp_path / f"a{suffix}", header, [np.tile(colour, (31, 47, 1))], quality=100)
    (result,) = upscale_files(
        [tmp_path / f"a{suffix}"], tmp_path / "out", Nearest(2), size=Size(scale=2.6)
    )
    assert result.error is None
    made = open_photograph(result.target)
    assert (made.header.height, made.header.width) == (81, 122)
    assert np.abs(made.read(81).astype(int) - colour).max() <= (0 if suffix == ".png" else 4)


def test_without_libvips_another_size_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ibsd.images.files.has_vips", lambda: False)
    source = photograph(8, 8)
    with as_network(Nearest(2)) as network:
        header, strips = enlarged(source, network, 1)
    with pytest.raises(InputError, match="only libvips can write"):
        write_photograph(tmp_path / "a.png", header.resized(9, 9), strips, rows=header)
