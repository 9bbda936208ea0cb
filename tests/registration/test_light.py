"""Photographs as arrays of light."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ibsd.data.linear_light import to_linear
from ibsd.images import PhotographHeader, write_photograph
from ibsd.registration.light import (
    blurred,
    dilated,
    encoded,
    read_photograph,
    root,
    sampled,
    shrunk,
    shrunk_light,
)

LEVELS = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)


def test_light_is_that_of_training_and_encoding_undoes_it() -> None:
    light = shrunk_light(LEVELS, 1)
    assert light[0, :, 0] == pytest.approx(to_linear(torch.arange(256) / 255).numpy(), abs=1e-6)
    assert encoded(light) * 255 == pytest.approx(LEVELS, abs=1e-3)
    deep = shrunk_light(LEVELS.astype(np.uint16) * 257, 1)
    assert deep == pytest.approx(light, abs=1e-6)


def test_shrinking_averages_light() -> None:
    board = np.zeros((5, 4, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    assert shrunk_light(board, 2) == pytest.approx(np.full((2, 2, 3), 0.5))
    assert shrunk(board, 2).shape == (2, 2, 3)


def test_places_are_indices() -> None:
    plane = np.arange(12, dtype=np.float32).reshape(3, 4)
    places = np.array([[[1.0, 2.0], [0.5, 0.0]]], np.float32)
    assert sampled(plane, places) == pytest.approx(np.array([[9.0, 0.5]]))


def test_small_steps() -> None:
    plane = np.zeros((9, 9), np.float32)
    plane[4, 4] = 1
    assert blurred(plane, 1.0).sum() == pytest.approx(1, abs=1e-3)
    assert dilated(plane > 0, 2)[4].tolist() == [False] * 2 + [True] * 5 + [False] * 2
    assert root(np.array([-0.1, 0.25], np.float32)) == pytest.approx([0, 0.5])


@pytest.mark.slow
def test_sixteen_bits_and_grey_are_read(tmp_path: Path) -> None:
    pixels = np.full((5, 7, 1), 40_000, np.uint16)
    header = PhotographHeader(5, 7, grey=True, bits=16)
    write_photograph(tmp_path / "a.png", header, [pixels])
    image = read_photograph(tmp_path / "a.png")
    assert image.dtype == np.uint16 and image.shape == (5, 7, 3) and (image == 40_000).all()
