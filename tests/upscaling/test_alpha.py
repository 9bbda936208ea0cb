"""Laws of transparency: opacity as torch's bicubic makes it, hidden colours filled from visible
ones, the same in parts as in one piece."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ibsd.images.rgb import bicubic
from ibsd.upscaling.alpha import GRID_PX, REACH_PX, bicubic_plane, fill_hidden


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).random(shape, dtype=np.float32)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [(1, 1), (2, 9), (13, 7)])
def test_opacity_is_interpolated_as_torch_does_it(size: tuple[int, int], scale: int) -> None:
    plane = noise(*size)
    expected = bicubic(torch.from_numpy(plane)[None, None], scale).clamp(0, 1)[0, 0].numpy()
    assert np.allclose(bicubic_plane(plane, scale), expected, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_filling_touches_only_what_is_hidden_and_stays_within_what_is_seen(channels: int) -> None:
    colours, alpha = noise(9, 14, channels), noise(9, 14) + 0.01
    assert fill_hidden(colours, alpha) is colours
    alpha[3:8, 2:] = 0
    filled, seen = fill_hidden(colours, alpha), alpha > 0
    assert np.array_equal(filled[seen], colours[seen])
    for channel in range(channels):
        values = colours[..., channel][seen]
        assert (
            values.min() - 1e-6
            <= filled[..., channel].min()
            <= filled[..., channel].max()
            <= values.max() + 1e-6
        )


def test_hidden_colours_do_not_matter() -> None:
    alpha = (noise(70, 50) > 0.9).astype(np.float32)
    one, other = noise(70, 50, 3), noise(70, 50, 3) ** 2
    other[alpha > 0] = one[alpha > 0]
    assert np.array_equal(fill_hidden(one, alpha), fill_hidden(other, alpha))


def test_far_from_anything_visible_is_grey() -> None:
    filled = fill_hidden(noise(40, 40, 3), np.zeros((40, 40), np.float32))
    assert np.array_equal(filled, np.full((40, 40, 3), 0.5, np.float32))


def test_a_region_with_enough_around_is_filled_as_in_the_whole() -> None:
    size = 5 * REACH_PX + 7
    generator = np.random.default_rng(1)
    colours = generator.random((size, size, 3), dtype=np.float32)
    alpha = (generator.random((size, size)) > 0.999).astype(
        np.float32
    )  # about 30 pixels apart: all levels take part
    whole = fill_hidden(colours, alpha)
    first, last = 2 * GRID_PX, size - 40
    part = fill_hidden(colours[first:last, first:last], alpha[first:last, first:last])
    inside = slice(REACH_PX, last - first - REACH_PX)
    assert np.allclose(
        part[inside, inside], whole[first:last, first:last][inside, inside], atol=1e-6
    )
    assert not np.allclose(part, whole[first:last, first:last], atol=1e-3)
