"""Degradation by presets: seeded, registered, matched to their ranges, in batches."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ibsd.data.degradation import Preset, Stage, degrade, softened
from ibsd.data.linear_light import to_linear, to_srgb
from ibsd.data.presets import EVERYDAY, PRESETS, find_preset
from ibsd.data.samples import sample_pair
from ibsd.images.rgb import bicubic, to_tensor
from ibsd.types import InputError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def hr() -> Tensor:
    """A photograph, two pieces of it, [2, 3, 128, 128]."""
    whole = to_tensor(sample_pair("chelsea", 4)[1])
    return torch.cat([whole[..., :128, :128], whole[..., -128:, -128:]])


@pytest.mark.parametrize("name", [*PRESETS, *EVERYDAY])
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.slow
def test_a_preset_is_seeded_and_in_range(name: str, scale: int, hr: Tensor) -> None:
    preset = find_preset(name)
    lr = degrade(hr, scale, preset, seeded(1))
    assert lr.shape == (2, 3, 128 // scale, 128 // scale)
    assert 0 <= float(lr.min()) <= float(lr.max()) <= 1
    torch.testing.assert_close(
        lr * 255, (lr * 255).round(), atol=1e-3, rtol=0
    )  # 8 bits, as in a file
    assert torch.equal(lr, degrade(hr, scale, preset, seeded(1)))
    assert any(
        not torch.equal(lr, degrade(hr, scale, preset, seeded(seed))) for seed in range(2, 6)
    )


@pytest.mark.parametrize("name", PRESETS)
def test_lr_stays_registered(name: str, hr: Tensor) -> None:
    """The picture enlarged again fits better where it is than a pixel of LR aside."""
    for seed in range(4):
        large = bicubic(degrade(hr, 4, PRESETS[name], seeded(seed)), 4)
        error = {
            shift: float((large.roll(shift, (2, 3)) - hr)[..., 8:-8, 8:-8].square().mean())
            for shift in ((0, 0), (4, 0), (-4, 0), (0, 4))
        }
        assert min(error, key=error.__getitem__) == (0, 0)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.slow
def test_more_strength_is_further_from_the_photograph(name: str, hr: Tensor) -> None:
    def error(strength: float) -> float:
        lrs = [degrade(hr, 4, PRESETS[name], seeded(seed), strength) for seed in range(4)]
        return float(torch.stack([(bicubic(lr, 4) - hr).square().mean() for lr in lrs]).mean())

    assert error(1.0) < error(2.0) or name == "clean"
    assert error(0.0) <= error(1.0) * 1.02


def test_noise_has_the_stated_variance_before_white_balance() -> None:
    """Uniform draws of root-variance and deviation: means a third of the squares of the
    greatest."""
    light, shot, read, gain = 0.3, 2e-3, 5e-3, 2.0
    flat = to_srgb(torch.full((64, 3, 128, 128), light))
    stage = Stage(shot_noise=shot, read_noise=read, white_balance=(gain, gain))
    noise = to_linear(degrade(flat, 4, Preset(stage), seeded())) - light
    for channel, raised in enumerate((gain, 1, gain)):
        expected = (shot * light / raised + read**2) / 3 * raised**2
        assert float(noise[:, channel].var()) == pytest.approx(expected, rel=0.25)


def test_halo_overshoots_beside_an_edge() -> None:
    edge = torch.full((8, 3, 64, 64), 0.3)
    edge[..., 32:] = 0.7
    soft = degrade(edge, 4, Preset(Stage()), seeded())
    sharp = degrade(edge, 4, Preset(Stage(halo=1.0)), seeded())
    assert float(sharp.max() - soft.max()) > 0.02 and float(soft.min() - sharp.min()) > 0.02


def test_an_early_halo_overshoots_by_as_much_as_shrinking_leaves() -> None:
    """Of a line, since the rims of a wide halo would survive shrinking in any case."""
    line = torch.full((16, 3, 64, 64), 0.3)
    line[..., 32:36] = 0.6
    plain, early, late = (
        degrade(line, 4, Preset(replace(Stage(resamplers=("area",)), **halo)), seeded())
        for halo in (dict[str, float](), {"early_halo": 1.0}, {"halo": 1.0})
    )
    assert float(early.max()) > float(plain.max()) + 0.01
    assert float(plain.min()) - 0.02 > float(early.min()) > float(late.min())


def test_grain_is_equal_in_light_and_dark_and_mostly_weak() -> None:
    """A deviation of the square of a uniform draw has a mean square of a fifth."""
    flat = torch.full((256, 3, 64, 64), 0.25)
    flat[:, :, 32:] = 0.75
    noise = degrade(flat, 4, Preset(Stage(grain=0.1)), seeded())
    parts = noise[:, :, :6], noise[:, :, 10:]
    for part in parts:
        assert float(part.var(dim=(1, 2, 3)).mean()) == pytest.approx(0.1**2 / 5, rel=0.2)
    assert float((parts[0].std(dim=(1, 2, 3)) < 0.05).float().mean()) > 0.6


def test_noise_reduction_takes_weak_texture_and_keeps_edges() -> None:
    """What is nearer to its surroundings than the threshold becomes them."""
    image = torch.full((32, 3, 64, 64), 0.3)
    image[..., 32:] = 0.7
    image = image + 0.01 * (torch.arange(64) // 4 % 2 * 2 - 1)[:, None]
    smeared = degrade(image, 4, Preset(Stage(resamplers=("area",), smear=0.06)), seeded())
    texture = smeared[..., 2:6].diff(dim=-2).abs().mean(dim=(1, 2, 3)) / 0.02
    assert float(texture.median()) < 0.2
    step = smeared.diff(dim=-1)[..., 7]
    assert float(step.min()) > 0.2


def test_jpeg_in_tensors_serves_a_preset(hr: Tensor) -> None:
    web = replace(PRESETS["camera"], first=replace(PRESETS["camera"].first, jpeg=(40, 40)))
    real, ours = (degrade(hr, 4, web, seeded(), jpeg=kind) for kind in ("libjpeg", "smooth"))
    assert float((real - ours).abs().mean()) < 2 / 255


def test_softness_blurs_hr_and_none_leaves_it(hr: Tensor) -> None:
    assert softened(hr, (0.0, 0.0), seeded()) is hr
    assert float(softened(hr, (1.0, 1.0), seeded()).diff(dim=-1).abs().mean()) < 0.9 * float(
        hr.diff(dim=-1).abs().mean()
    )


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="cannot shrink by 4"):
        degrade(torch.zeros(1, 3, 10, 8), 4, PRESETS["clean"], seeded())
    with pytest.raises(InputError, match="strength is -1"):
        degrade(torch.zeros(1, 3, 8, 8), 4, PRESETS["clean"], seeded(), -1)
