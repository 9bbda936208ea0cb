"""The wavelet loss against the published one and against PyWavelets."""

from __future__ import annotations

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given
from hypothesis import strategies as st

import parity
from ibsd.distillation.wavelet import details, haar, wavelet_loss
from ibsd.types import InputError

CASES = sorted(name for name in parity.REFERENCE if name.startswith("wavelet_"))


@pytest.mark.parametrize("name", CASES)
def test_loss_levels_and_gradient_are_the_published_ones(name: str):
    reference = parity.REFERENCE[name]
    shape = reference["shape"]
    sr, target = parity.image(*shape).requires_grad_(), parity.image(*shape, parity.PHASE + 0.8)
    loss = wavelet_loss(sr, target)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(reference["loss"], rel=1e-9)
    assert float(sr.grad.norm()) == pytest.approx(reference["grad_norm"], rel=1e-9)
    ours, theirs = details(sr.detach()), details(target)
    assert [list(band.shape) for band in ours] == reference["band_shapes"]
    levels = [float((x - y).abs().mean()) for x, y in zip(ours, theirs, strict=True)]
    assert levels == pytest.approx(reference["level_losses"], rel=1e-9)


SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 37), st.integers(1, 37))


@given(shape=SIZES, levels=st.integers(1, 5), seed=st.integers(0, 999))
def test_equals_pywavelets(shape: tuple[int, ...], levels: int, seed: int):
    """PyWavelets' mode `zero` pads odd sizes as we do, on the far side; its three details come in
    our order."""
    image = np.random.default_rng(seed).standard_normal(shape)
    approximation = image
    for ours in details(torch.from_numpy(image), levels):
        approximation, theirs = pywt.dwt2(approximation, "haar", mode="zero")
        for band, other in enumerate(theirs):
            np.testing.assert_allclose(ours[:, :, band].numpy(), other, rtol=0, atol=1e-6)


@given(shape=SIZES, seed=st.integers(0, 999))
def test_parseval_and_perfect_reconstruction(shape: tuple[int, ...], seed: int):
    image = torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))
    low, high = haar(image)
    assert float(low.square().sum() + high.square().sum()) == pytest.approx(
        float(image.square().sum()), rel=1e-6
    )
    back = pywt.idwt2(
        (low.numpy(), tuple(high[:, :, band].numpy() for band in range(3))), "haar", mode="zero"
    )
    np.testing.assert_allclose(back[..., : shape[2], : shape[3]], image.numpy(), rtol=0, atol=1e-6)


@given(
    rows=st.integers(1, 3),
    columns=st.integers(1, 3),
    levels=st.integers(1, 4),
    offset=st.floats(-2, 2),
)
def test_a_constant_offset_costs_nothing(rows: int, columns: int, levels: int, offset: float):
    image = torch.rand(
        1,
        3,
        rows * 2**levels,
        columns * 2**levels,
        generator=torch.Generator().manual_seed(0),
        dtype=torch.float64,
    )
    assert float(wavelet_loss(image + offset, image, levels)) == pytest.approx(0, abs=1e-14)


def test_each_band_sees_its_own_stripes():
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    for band, stripes in enumerate(((-1.0) ** y, (-1.0) ** x, (-1.0) ** (x + y))):
        energy = haar(stripes[None, None])[1].square().sum(dim=(0, 1, 3, 4))
        assert float(energy[band]) == pytest.approx(64, rel=1e-6)
        assert float(energy.sum()) == pytest.approx(64, rel=1e-6)


@given(factor=st.floats(-3, 3), levels=st.integers(1, 4))
def test_homogeneous_symmetric_and_zero_at_the_target(factor: float, levels: int):
    a, b = torch.rand(
        2, 2, 3, 9, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    loss = wavelet_loss(a, b, levels)
    assert float(loss) > 0
    torch.testing.assert_close(wavelet_loss(b, a, levels), loss)
    torch.testing.assert_close(wavelet_loss(factor * a, factor * b, levels), abs(factor) * loss)
    assert float(wavelet_loss(a, a, levels)) == 0


def test_gradients_reach_both_and_a_tie_gives_none():
    a, b = (
        torch.rand(1, 3, 7, 10, generator=torch.Generator().manual_seed(k)).requires_grad_()
        for k in range(2)
    )
    wavelet_loss(a, b).backward()
    assert float(a.grad.norm()) > 0
    torch.testing.assert_close(a.grad, -b.grad)
    c = a.detach().clone().requires_grad_()
    wavelet_loss(c, a.detach()).backward()
    assert torch.equal(c.grad, torch.zeros_like(c))


def test_what_has_no_loss_is_refused():
    image = torch.rand(1, 3, 8, 8)
    with pytest.raises(ValueError, match="equal"):
        wavelet_loss(image, image[..., :1])
    with pytest.raises(ValueError, match=r"take x\.float\(\) / 255"):
        wavelet_loss(image.byte(), image.byte())
    for empty in (image[:0], torch.tensor(0.5)):
        with pytest.raises(InputError, match="not empty"):
            wavelet_loss(empty, empty)
    with pytest.raises(ValueError, match="levels is 0"):
        wavelet_loss(image, image, levels=0)
