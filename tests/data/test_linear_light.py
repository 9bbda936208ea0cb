"""The transfer curve of sRGB."""

from __future__ import annotations

import pytest
import torch

from ibsd.data.linear_light import to_linear, to_srgb


def test_transfer_curve_of_srgb_and_back() -> None:
    srgb = torch.linspace(0, 1, 256)
    torch.testing.assert_close(to_srgb(to_linear(srgb)), srgb, atol=1e-6, rtol=0)
    assert float(to_linear(torch.tensor(0.5))) == pytest.approx(0.214041, abs=1e-6)
