"""Laws of images as arrays and tensors: every level survives, rounding is that of the metrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ibsd.images import bicubic, to_array, to_tensor


def test_every_level_survives_the_tensor() -> None:
    array = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    tensor = to_tensor(array)
    assert tensor.shape == (1, 3, 16, 16)
    assert tensor.dtype == torch.float32
    assert 0 == tensor.min() < tensor.max() == 1
    assert np.array_equal(to_array(tensor), array)
    assert np.array_equal(to_array(tensor[0]), array)
    assert np.array_equal(to_array(to_tensor(array[::-1, ::-1])), array[::-1, ::-1])


def test_to_array_clamps_and_rounds_halves_to_even() -> None:
    values = torch.tensor([-0.2, 1.4, 0.5 / 255, 1.5 / 255, 2.5 / 255]).expand(3, 1, 5)
    assert to_array(values)[0, :, 0].tolist() == [0, 255, 0, 2, 2]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_keeps_constants_and_centres(scale: int) -> None:
    assert torch.allclose(
        bicubic(torch.full((1, 3, 1, 5), 0.3), scale), torch.full((1, 3, scale, 5 * scale), 0.3)
    )
    ramp = torch.arange(12.0).expand(1, 1, 12, 12)
    wide = bicubic(ramp, scale)
    expected = (torch.arange(12 * scale) + 0.5) / scale - 0.5
    inner = slice(3 * scale, 9 * scale)
    assert torch.allclose(
        wide[0, 0, 0, inner], expected[inner], atol=0.05
    )  # a = -0.75 bends straight lines a little
