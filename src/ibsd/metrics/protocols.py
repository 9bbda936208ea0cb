"""The protocols under which papers on real-world super-resolution quote PSNR, SSIM and LPIPS, all
in one table.

They differ in rounding, luma, border and windows, by more than papers differ from each other. So
never compare figures across them. Results below are per image, [N] each; PSNR in dB.

Source: docs/method.md 9, and for `realsr-testm` its authors' MATLAB code.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ibsd.metrics.fidelity import cut_border, luma, psnr, ssim
from ibsd.metrics.perceptual import lpips as perceptual_distance
from ibsd.types import InputError

PROTOCOLS: dict[str, tuple[str, ...]] = {
    "ibsd-cdc": ("psnr_rgb", "psnr_y", "ssim", "lpips"),
    "basicsr-y": ("psnr_y", "ssim_y"),
    "realsr-testm": ("psnr_y", "ssim_y"),
}
"""Names of the protocols and of their metrics, in the order of every table."""

_PATCH_PX = 1200
_STRIDE_PX = 800


def ibsd_cdc(sr: Tensor, hr: Tensor, scale: int = 4, *, lpips: bool = True) -> dict[str, Tensor]:
    """The published IBSD and CDC test script. SR is neither clamped nor rounded.

    psnr_rgb: whole image, no border. psnr_y: of the difference weighted by (65.738, 129.057,
    25.064) / 256, so without the rounding of any Y, `scale` px cut on each side. ssim: on RGB in
    [0, 1], zero padding, no border. lpips: AlexNet v0.1, whole image. (The script makes SR in tiles
    of 256 LR px. That is not part of scoring.)
    """
    weights = torch.tensor([65.738, 129.057, 25.064], dtype=torch.float64, device=sr.device) / 256
    difference = ((sr.double() - hr.double()) * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)
    inner = cut_border(difference, scale)
    scores = {
        "psnr_rgb": psnr(sr, hr),
        "psnr_y": psnr(inner, torch.zeros_like(inner)),
        "ssim": ssim(sr, hr, padding="zero"),
    }
    if lpips:
        scores["lpips"] = perceptual_distance(sr, hr).double()
    return scores


def basicsr_y(sr: Tensor, hr: Tensor, scale: int = 4) -> dict[str, Tensor]:
    """BasicSR's `calculate_psnr` and `calculate_ssim` with test_y_channel and crop_border = scale:
    what most papers print.

    RGB clamped and rounded to 8 bits (half to even), Y of BT.601 from those and *not* rounded
    again, `scale` px cut on each side, range 255, SSIM over the windows inside what is left.
    """
    y_sr, y_hr = (basicsr_luma(image.double(), scale) for image in (sr, hr))
    return {"psnr_y": psnr(y_sr, y_hr, 255), "ssim_y": ssim(y_sr, y_hr, 255)}


def basicsr_luma(image: Tensor, border: int) -> Tensor:
    """Y as `basicsr_y` takes it: RGB [N, 3, H, W] in [0, 1], rounded to 8 bits in its own
    precision -> [N, 1, H - 2 border, W - 2 border] float64."""
    return cut_border(luma(_eight_bits(image) / 255), border)


def realsr_testm(sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
    """The RealSR authors' `Test.m` and `Cal_PSNRSSIM.m` (github.com/csjcai/RealSR), on Y as
    MATLAB's rgb2ycbcr makes it from uint8.

    RGB to 8 bits, cut at the bottom and right to multiples of 4, Y of BT.601 *rounded to 8 bits*,
    no border, range 255, SSIM over the windows inside. Where both sides exceed 1,200 px: patches of
    1,200 px every 800 px and one more at the end (twice the same where it falls on the grid, as
    there), mean over the patches; see `realsr_patches` for the mean over a test set. Our reading:
    their networks make Y itself, patch by patch; here SR is the 8-bit RGB picture of any method,
    made as a whole.
    """
    height, width = (side - side % 4 for side in hr.shape[-2:])
    y_sr, y_hr = (_matlab_luma(image[..., :height, :width]) for image in (sr, hr))
    scores: list[tuple[Tensor, Tensor]] = []
    rows, columns = _patch_starts(height, width)
    for top in rows:
        for left in columns:
            a, b = y_sr, y_hr
            if len(rows) * len(columns) > 1:
                inside = (..., slice(top, top + _PATCH_PX), slice(left, left + _PATCH_PX))
                a, b = y_sr[inside], y_hr[inside]
            scores.append((psnr(a, b, 255), ssim(a, b, 255)))
    return {
        name: torch.stack(values).mean(0)
        for name, values in zip(PROTOCOLS["realsr-testm"], zip(*scores, strict=True), strict=True)
    }


def realsr_patches(height: int, width: int) -> int:
    """How many patches `realsr_testm` cuts an image of this size into: its authors' mean over a
    test set weighs each image by it."""
    rows, columns = _patch_starts(height - height % 4, width - width % 4)
    return len(rows) * len(columns)


def score_each(
    sr: Tensor, hr: Tensor, scale: int = 4, *, lpips: bool = True
) -> dict[str, dict[str, Tensor]]:
    """`score` before the mean: {protocol: {metric: [N] float64}}."""
    _check(sr, hr)
    with torch.no_grad():
        return {
            "ibsd-cdc": ibsd_cdc(sr, hr, scale, lpips=lpips),
            "basicsr-y": basicsr_y(sr, hr, scale),
            "realsr-testm": realsr_testm(sr, hr),
        }


def score(
    sr: Tensor, hr: Tensor, scale: int = 4, *, lpips: bool = True
) -> dict[str, dict[str, float]]:
    """All protocols side by side: [N, 3, H, W] RGB in [0, 1] twice -> {protocol: {metric: mean over
    N}}, names as in `PROTOCOLS`.

    `sr` may exceed [0, 1] as networks do, `hr` may not; float16, bfloat16, float32 or float64,
    computed in float64 (LPIPS in float32). `scale` is the border that two of the protocols cut.
    `lpips=False` leaves the slow one out (0.15 s for 512 x 512 px on one core, half that for each
    further `sr` of the same `hr` tensor). A perfect image has PSNR inf. No gradients. InputError
    for unequal shapes, integers, `hr` outside [0, 1] and images below 31 px (11 px and two borders
    without LPIPS).

    >>> hr = torch.full((1, 3, 32, 32), 0.5)
    >>> round(score(hr + 0.1, hr, lpips=False)["ibsd-cdc"]["psnr_rgb"], 4)
    20.0
    """
    per_image = score_each(sr, hr, scale, lpips=lpips)
    return {
        protocol: {name: values.mean().item() for name, values in metrics.items()}
        for protocol, metrics in per_image.items()
    }


def _eight_bits(image: Tensor) -> Tensor:
    return (image.clamp(0, 1) * 255).round()


def _matlab_luma(image: Tensor) -> Tensor:
    # In thousandths, all integers below 2^53: a half is met exactly, and MATLAB rounds it up where
    # torch.round would go to even.
    red, green, blue = _eight_bits(image.double()).unbind(1)
    return torch.floor((65481 * red + 128553 * green + 24966 * blue) / 255000 + 16.5).unsqueeze(1)


def _patch_starts(height: int, width: int) -> tuple[list[int], list[int]]:
    if min(height, width) <= _PATCH_PX:
        return [0], [0]
    rows, columns = (
        [*range(0, side - _PATCH_PX + 1, _STRIDE_PX), side - _PATCH_PX] for side in (height, width)
    )
    return rows, columns


def _check(sr: Tensor, hr: Tensor) -> None:
    if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] != 3 or not sr.numel():
        raise InputError(
            "sr and hr must both be [N, 3, H, W] and not empty, "
            f"not {list(sr.shape)} and {list(hr.shape)}"
        )
    if not (sr.is_floating_point() and hr.is_floating_point()):
        raise InputError(
            f"sr and hr must be floats in [0, 1], not {sr.dtype} and {hr.dtype}: "
            "divide 8-bit pictures by 255"
        )
    low = hr.min().item()
    high = hr.max().item()
    if not (low >= -1e-3 and high <= 1 + 1e-3):
        raise InputError(
            f"hr must lie in [0, 1], not in [{low:g}, {high:g}]: divide 8-bit pictures by 255"
        )
