"""A part of a photograph: one tile, shown where it lies, with the pixels of the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ibsd.app.parts import stretch, write_part
from ibsd.images import InMemory, PhotographHeader
from ibsd.inference.network import Network, NetworkDescriptor
from ibsd.upscaling.strips import Tiles, tiles_for, upscaled_strips
from ibsd.upscaling.tiling import spans


def doubled() -> Network:
    """Each pixel twice as wide and high."""
    descriptor = NetworkDescriptor(
        "double", 2, 3, pools_globally=False, minimum_size_px=1, tile_px=32
    )
    return Network(descriptor, lambda lr: lr.repeat(2, axis=2).repeat(2, axis=3))


@settings(max_examples=50)
@given(st.integers(1, 3000), st.floats(0, 1), st.integers(40, 300), st.integers(0, 12))
def test_a_stretch_is_one_tile_around_its_centre(
    length: int, centre: float, tile_px: int, overlap_px: int
) -> None:
    across = stretch(length, centre, Tiles(tile_px, overlap_px, 0))
    assert 0 <= across.start <= across.shown_start < across.shown_end <= across.end <= length
    assert across.end - across.start == min(tile_px, length)
    if across.start and across.end < length:
        assert abs((across.shown_start + across.shown_end) / 2 - centre * length) <= 1
    if centre == 0:
        assert across.shown_start == 0, "the edge can be seen"


@pytest.mark.parametrize("centre", [(0.5, 0.5), (1, 0)])
@pytest.mark.parametrize("grey", [False, True])
def test_a_part_has_the_pixels_of_the_whole(
    tmp_path: Path, centre: tuple[float, float], grey: bool
) -> None:
    network = doubled()
    header = PhotographHeader(600, 90, grey=grey)
    y, x = np.mgrid[:600, :90]
    channels = [128 + 100 * np.sin(x / 9 + y / 13 + phase) for phase in range(header.channels)]
    pixels = np.stack(channels, axis=2).astype(np.uint8)
    told = write_part(InMemory(header, pixels), network, centre, tmp_path / "part", "a")
    whole = np.concatenate(list(upscaled_strips(InMemory(header, pixels), network)))
    left, top, width, height = told["box"]
    assert (width, height) == ((26, 26) if centre == (0.5, 0.5) else (29, 29))
    assert (left + width / 2, top + height / 2) == (
        (45, 300) if centre == (0.5, 0.5) else (75.5, 14.5)
    )
    for name, image, scale in (("before", pixels, 1), ("after", whole, 2)):
        shown = np.asarray(Image.open(tmp_path / f"part/a-{name}.jpg"), dtype=float)
        place = np.s_[top * scale : (top + height) * scale, left * scale : (left + width) * scale]
        expected = image[place].squeeze()
        assert shown.shape == expected.shape
        assert abs(shown - expected).mean() < 3, name


def test_the_seconds_are_those_of_all_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter((10.0, 12.5))
    monkeypatch.setattr("ibsd.app.parts.time.perf_counter", lambda: next(times))
    network = doubled()
    photograph = InMemory(PhotographHeader(100, 70), np.zeros((100, 70, 3), np.uint8))
    told = write_part(photograph, network, (0, 0), tmp_path / "part", "a")
    tiles = tiles_for("auto", network)
    num_tiles = len(spans(100, *tiles[:2])) * len(spans(70, *tiles[:2]))
    assert num_tiles > 4
    assert told["seconds"] == 2.5 * num_tiles
