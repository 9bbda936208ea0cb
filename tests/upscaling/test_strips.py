"""Laws of strips: any tile gives what the whole gives, in little memory, at 8 and 16 bits, with and
without opacity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ibsd.images import InMemory, PhotographHeader
from ibsd.inference.network import Network, torch_network
from ibsd.students import load_student
from ibsd.types import InputError
from ibsd.upscaling.strips import TileSize, tiles_for, upscaled_strips
from ibsd.upscaling.tiling import spans, tiled
from upscaling.fakes import Convolutions, Nearest

DEPTH = 3


def network(scale: int = 2, **known: Any) -> Network:
    """Purely convolutional, in double precision, so that only a wrong tile could show; says how far
    it sees."""
    student = Convolutions(scale, DEPTH).double()
    made = torch_network(lambda lr: student(lr.double()), scale)
    return describe(made, receptive_field_px=known.pop("receptive_field_px", DEPTH), **known)


def describe(network: Network, **known: Any) -> Network:
    """The network with another descriptor."""
    network.descriptor = replace(network.descriptor, **known)
    return network


def pooling() -> Network:
    """Repeats pixels and adds a twentieth of the input's mean."""
    made = torch_network(lambda lr: F.interpolate(lr * 0.9 + lr.mean() / 20, scale_factor=2.0), 2)
    return describe(made, receptive_field_px=12, pools_globally=True)


def photograph(channels: int = 3, bits: int = 8, height: int = 150, width: int = 131) -> InMemory:
    generator = np.random.default_rng(channels)
    kind = np.uint8 if bits == 8 else np.uint16
    pixels = generator.integers(0, 2**bits, (height, width, channels), dtype=kind)
    if channels in (2, 4):
        pixels[..., -1][generator.random((height, width)) < 0.6] = 0
        pixels[40:120, 30:110, -1] = 0  # wider than a tile
    return InMemory(PhotographHeader(height, width, channels < 3, channels in (2, 4), bits), pixels)


def upscaled(channels: int, bits: int, tile: int | str, scale: int = 2) -> np.ndarray:
    # pyright: ignore
    return np.concatenate(list(upscaled_strips(photograph(channels, bits), network(scale), tile)))


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "bits"), [(1, 8), (2, 16), (3, 8), (3, 16), (4, 8), (4, 16)])
def test_tiles_equal_the_whole(channels: int, bits: int) -> None:
    """Opacity included: what lies hidden is filled the same way in every tile."""
    whole = upscaled(channels, bits, "whole")
    assert whole.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert whole.shape == (300, 262, channels)
    for tile in (22, 41, "auto"):
        parts = upscaled(channels, bits, tile)
        assert np.abs(parts.astype(int) - whole).max() <= 1, tile  # float32 tips a rounding
        assert (parts != whole).mean() < 1e-3


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_tiles_that_go_together_equal_tiles_alone(channels: int) -> None:
    """Four tiles a call: every call has one shape, and the rest of a row is filled up."""
    shapes: list[tuple[int, ...]] = []

    def noted(made: Network, tiles_a_call: int) -> Network:
        run = made.run
        made.tiles_a_call = tiles_a_call
        made.run = lambda lr: shapes.append(lr.shape) or run(lr)
        return made

    alone, together = (
        np.concatenate(list(upscaled_strips(photograph(channels), noted(network(), count), 41)))
        for count in (1, 4)
    )
    calls = [shape for shape in shapes if shape[0] != 1]
    assert set(calls) == {(4, 3, 41, 41)}
    assert len(shapes) - len(calls) > len(calls)
    assert np.abs(together.astype(int) - alone).max() <= 1  # float32 tips a rounding
    assert (together != alone).mean() < 1e-3


def test_the_overlap_is_how_far_the_network_sees_and_less_would_show() -> None:
    made = network()
    assert tiles_for("auto", made) == (256, DEPTH, 0)
    assert tiles_for(40, made) == (40, DEPTH, 0)
    with pytest.raises(InputError, match="sees 3 pixels far: choose 22 or more"):
        tiles_for(21, made)
    narrow = network(receptive_field_px=DEPTH - 1)
    parts = np.concatenate(list(upscaled_strips(photograph(), narrow, 40)))
    assert (parts != upscaled(3, 8, "whole")).mean() > 1e-3


def test_a_network_that_sees_far_gets_a_tile_that_holds_it() -> None:
    assert tiles_for("auto", network(receptive_field_px=200)) == (416, 200, 0)
    made = network(receptive_field_px=200, pools_globally=True)
    assert tiles_for("auto", made) == (416, 200, 8)  # half of what is kept of a tile


def test_pooling_sees_the_same_tile_whatever_the_picture() -> None:
    """So the result at a place depends on what lies in its tile, not on the size of the photograph
    or of the machine's memory."""
    student = Nearest(2)
    student.spec.receptive_field_px = 8  # pyright: ignore
    for size in ((300, 700), (256, 256), (1000, 257)):
        pixels = np.zeros((*size, 3), np.uint8)
        list(upscaled_strips(InMemory(PhotographHeader(*size), pixels), torch_network(student)))
    assert set(student.sizes) == {(256, 256)}


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("size", [(150, 131), (64, 200), (65, 64), (20, 300), (1, 1)])
def test_rows_as_they_come_are_those_of_the_picture_in_memory(
    channels: int, size: tuple[int, int]
) -> None:
    """With bands between the tiles, whatever the size; opacity is as without tiles."""
    made = pooling()
    picture = photograph(channels, 8, *size)
    rows = np.concatenate(list(upscaled_strips(picture, made, 64)))
    assert rows.shape == (2 * size[0], 2 * size[1], channels)
    if channels == 4:
        whole = np.concatenate(list(upscaled_strips(photograph(channels, 8, *size), made, "whole")))
        assert np.array_equal(rows[..., 3], whole[..., 3])
        return
    lr = np.float32(picture.pixels.transpose(2, 0, 1)[None]) / np.float32(255)
    expected = tiled(made, lr.repeat(3 // channels, axis=1), 2, *tiles_for(64, made))[0].transpose(
        1, 2, 0
    )
    assert (
        np.abs(
            255 * expected.mean(axis=2, keepdims=True)[..., :channels] - rows
            if channels == 1
            else 255 * expected - rows
        ).max()
        <= 0.501
    )


def test_what_a_place_becomes_depends_on_the_tiles_around_alone() -> None:
    """Not on what lies far away in the photograph, nor on its size, up to its own last tiles."""
    made, tiles = pooling(), tiles_for(64, pooling())
    small, large = photograph(3, 8, 200, 131), photograph(3, 8, 200, 400)
    small.pixels[:] = large.pixels[:, :131]
    first, second = (
        np.concatenate(list(upscaled_strips(each, made, 64))) for each in (small, large)
    )
    same = 2 * spans(131, *tiles[:2])[-2].kept_from
    assert same > 64
    assert np.array_equal(first[:, :same], second[:, :same])


@pytest.mark.parametrize("tile", ["auto", "whole"])
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 5), (600, 1)])
@pytest.mark.slow
def test_a_photograph_of_a_few_pixels_keeps_its_colour(
    size: tuple[int, int], tile: TileSize
) -> None:
    """The shipped network would see hardly more than the zeros beyond the border."""
    made = torch_network(load_student("imdn-small-x4"))
    pixels = np.full((*size, 3), (200, 60, 120), np.uint8)
    large = np.concatenate(
        list(upscaled_strips(InMemory(PhotographHeader(*size), pixels), made, tile))
    )
    assert large.shape == (4 * size[0], 4 * size[1], 3)
    assert np.abs(large - np.float32((200, 60, 120))).max() < 8


def test_rows_are_read_once_and_only_as_far_as_needed() -> None:
    made = photograph(4, height=700, width=20)
    read: list[int] = []

    class Counting(InMemory):
        def read(self, count: int) -> np.ndarray:
            read.append(count)
            return super().read(count)

    strips = upscaled_strips(Counting(made.header, made.pixels), network(), 64)
    next(strips)
    assert sum(read) < 64 + 100
    list(strips)
    assert sum(read) == 700


def test_sixteen_bits_keep_steps_that_eight_do_not_have() -> None:
    ramp = np.arange(30_000, 30_256, dtype=np.uint16)[None, :, None].repeat(4, 0).repeat(3, 2)
    (strip,) = upscaled_strips(
        InMemory(PhotographHeader(4, 256, bits=16), ramp), torch_network(Nearest(2))
    )
    assert np.array_equal(strip, ramp.repeat(2, 0).repeat(2, 1))


def test_values_are_clamped_and_halves_rounded_to_even() -> None:
    values = torch.tensor([-0.2, 1.4, 0.5 / 255, 1.5 / 255, 2.5 / 255, 254.6 / 255, 0, 1])
    (strip,) = upscaled_strips(
        InMemory(PhotographHeader(8, 8), np.zeros((8, 8, 3), np.uint8)),
        torch_network(lambda lr: values.expand(1, 3, 8, 8), 1),
    )
    assert strip[0, :, 0].tolist() == [0, 255, 0, 2, 2, 255, 0, 255]
