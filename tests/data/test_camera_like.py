"""Laws of the camera-like degradation: registered, seeded, light-preserving, and as noisy as it
says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ibsd.data.camera_like import camera_like
from ibsd.data.linear_light import to_linear, to_srgb
from ibsd.images.rgb import bicubic
from ibsd.types import InputError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def smooth_picture(height: int, width: int) -> Tensor:
    """Waves of 48 to 96 px along both axes, another mix in each channel, [1, 3, H, W]."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    waves = [
        torch.sin(2 * math.pi * (x / (48 + 8 * c) + c / 5))
        + torch.cos(2 * math.pi * (y / (96 - 8 * c) + x / 200))
        for c in range(3)
    ]
    return (0.5 + 0.15 * torch.stack(waves)).unsqueeze(0)


def shift_px(moved: Tensor, still: Tensor) -> tuple[float, float]:
    """(right, down) by which `moved` lies off `still`, by least squares on the gradient (Lucas and
    Kanade); borders left out."""
    inner = (..., slice(16, -16), slice(16, -16))
    across = ((still.roll(-1, -1) - still.roll(1, -1)) / 2)[inner].flatten()
    down = ((still.roll(-1, -2) - still.roll(1, -2)) / 2)[inner].flatten()
    solved = torch.linalg.lstsq(
        torch.stack([across, down], 1).double(),
        -(moved - still)[inner].flatten().double().unsqueeze(1),
    ).solution
    return float(solved[0]), float(solved[1])


def test_the_ruler_measures_a_known_shift() -> None:
    still = smooth_picture(192, 192)
    assert shift_px(still.roll(1, -1), still) == pytest.approx((1, 0), abs=0.02)
    assert shift_px(still.roll(-1, -2), still) == pytest.approx((0, -1), abs=0.02)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_lr_and_hr_are_registered(scale: int) -> None:
    hr = smooth_picture(192, 192)
    for seed in range(
        8
    ):  # both ways to downscale, round and elliptic blur, both kinds of JPEG colours
        right, down = shift_px(bicubic(camera_like(hr, scale, seeded(seed)), scale), hr)
        assert abs(right) < 0.05 * scale and abs(down) < 0.05 * scale, (seed, right, down)


@pytest.mark.parametrize("level", [0.0, 0.02, 0.5, 1.0])
def test_a_constant_stays_constant_without_noise_and_jpeg(level: float) -> None:
    hr = torch.full((4, 3, 24, 36), level)
    lr = camera_like(hr, 3, seeded(), shot_noise=(0, 0), read_noise=(0, 0), jpeg_quality=None)
    assert lr.shape == (4, 3, 8, 12)
    torch.testing.assert_close(lr, torch.full_like(lr, level), atol=2e-6, rtol=0)


def test_a_constant_stays_constant_up_to_noise() -> None:
    lr = camera_like(torch.full((1, 3, 256, 256), 0.5), 4, seeded())
    assert float((lr.mean((0, 2, 3)) - 0.5).abs().max()) < 2 / 255 and float(lr.std()) < 6 / 255


def test_noise_has_the_stated_variance_in_linear_light() -> None:
    shot, read, light = 1e-3, 4e-3, 0.3
    hr = to_srgb(torch.full((1, 3, 512, 512), light))
    lr = camera_like(
        hr, 2, seeded(), shot_noise=(shot, shot), read_noise=(read, read), jpeg_quality=None
    )
    noise = to_linear(lr) - light
    assert float(noise.var()) == pytest.approx(shot * light + read**2, rel=0.03)
    assert abs(float(noise.mean())) < 1e-4


def test_blur_is_in_lr_pixels() -> None:
    """The width of a white dot: the variances of blur, dot (4 HR px: 15 / 192 LR px^2) and what an
    LR pixel covers (as much) add up."""
    scale, deviation = 4, 0.8
    hr = torch.zeros(1, 3, 128, 128)
    hr[..., 64:68, 64:68] = 1  # covers one LR pixel
    for seed in range(20):
        lr = camera_like(
            hr,
            scale,
            seeded(seed),
            blur=(deviation, deviation),
            shot_noise=(0, 0),
            read_noise=(0, 0),
            jpeg_quality=None,
        )
        light = to_linear(lr)[0, 0]
        place = torch.arange(32.0)
        mean = float((light.sum(0) * place).sum() / light.sum())
        width = float((light.sum(0) * (place - mean) ** 2).sum() / light.sum())
        assert mean == pytest.approx(16, abs=1e-3)
        # The blur is cut off at 3 deviations, which costs 2 % of its variance; the bicubic filter
        # covers less than a pixel by this measure.
        assert 0.97 * deviation**2 + 15 / 192 < width < deviation**2 + 2 * 15 / 192, seed


def test_the_same_seed_gives_the_same_and_a_batch_equals_its_images_in_turn() -> None:
    hr = torch.rand(3, 3, 32, 48, generator=seeded(5))
    batch = camera_like(hr, 4, seeded(1))
    generator = seeded(1)
    assert torch.equal(batch, camera_like(hr, 4, seeded(1)))
    assert torch.equal(
        batch, torch.cat([camera_like(image, 4, generator) for image in hr.split(1)])
    )
    assert not torch.equal(batch, camera_like(hr, 4, seeded(2)))


def test_each_image_draws_its_own_strength() -> None:
    hr = torch.rand(1, 3, 64, 64, generator=seeded()).expand(4, -1, -1, -1)
    lr = camera_like(hr, 2, seeded(), shot_noise=(0, 0), read_noise=(0, 0), jpeg_quality=None)
    assert len({float(image.var()) for image in lr}) == 4


def test_jpeg_leaves_whole_levels_and_hurts_more_at_low_quality() -> None:
    hr = torch.rand(1, 3, 128, 128, generator=seeded())
    clean = camera_like(hr, 2, seeded(3), jpeg_quality=None)
    good, bad = (
        camera_like(hr, 2, seeded(3), jpeg_quality=(quality, quality)) for quality in (97, 30)
    )
    torch.testing.assert_close(good * 255, (good * 255).round(), atol=1e-4, rtol=0)
    assert float((bad - clean).pow(2).mean()) > float((good - clean).pow(2).mean()) > 0


def test_small_images_and_gradients() -> None:
    lr = camera_like(torch.rand(1, 3, 4, 4, generator=seeded(), requires_grad=True), 4, seeded())
    assert lr.shape == (1, 3, 1, 1) and not lr.requires_grad and bool(((lr >= 0) & (lr <= 1)).all())


@pytest.mark.parametrize(
    ("shape", "scale", "options"),
    [
        ((1, 3, 30, 32), 4, {}),
        ((1, 1, 32, 32), 4, {}),
        ((3, 32, 32), 4, {}),
        ((1, 3, 32, 32), 8, {}),
        ((1, 3, 32, 32), 4, {"blur": (0.6, 0.2)}),
        ((1, 3, 32, 32), 4, {"read_noise": (-1, 1)}),
        ((1, 3, 32, 32), 4, {"jpeg_quality": (0, 50)}),
    ],
)
def test_wrong_input_is_refused(
    shape: tuple[int, ...], scale: int, options: dict[str, tuple[float, float]]
) -> None:
    with pytest.raises(InputError):
        # pyright: ignore[reportArgumentType]
        camera_like(torch.rand(shape), scale, seeded(), **options)
