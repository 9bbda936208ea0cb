"""Misalignment of the pictures of a pair: shift, rotation and colour of LR against HR, measured,
and HR moved by a misalignment.

Both pictures are smoothed alike. HR is fitted to LR by Gauss-Newton steps on five unknowns (shift,
rotation, contrast, brightness), from the peak of a phase correlation (Lucas and Kanade, IJCAI 1981;
Kuglin and Hines, 1975). HR is sampled where LR's pixel centres fall, at HR's own resolution, so
that the fit sees no grid of LR pixels. A symmetric blur moves nothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.data.linear_light import to_linear
from ibsd.types import Scale

SMOOTHING_PX = 0.7
"""Standard deviation of the blur before the fit, in LR pixels. Finer detail of LR is mostly
noise."""
CAMERA_PX = 0.5
"""Standard deviation in LR pixels of the blur that LR has and HR has not, about: pixel area and
lens."""
COLOUR_PX = 4.0
"""Standard deviation in LR pixels of the blur before colours are compared. It is so wide that a
lens's blur changes no contrast."""
LARGEST_SIDE_PX = 512
"""Only the middle of a larger LR picture is measured."""
SEARCH = 0.25
"""Largest shift that is searched, as a share of the shorter side."""
_STEPS = 12
_STILL = 1e-4
"""Step below which the fit has converged, in LR pixels and radians."""


class Misalignment(NamedTuple):
    """How LR's content lies against HR's."""

    down_px: float
    """Shift in LR pixels; positive where LR's content lies below HR's."""
    right_px: float
    """Shift in LR pixels; positive where LR's content lies to the right of HR's."""
    degrees: float
    """Rotation of LR's content about the picture's centre. Positive: clockwise, as seen."""
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Contrast of LR over HR's in linear light, for R, G and B, on a coarse scale; nan where HR is
    flat."""
    correlation: float = 1.0
    """Correlation of both smoothed lumas at the best fit, in [-1, 1]; near 1 for one scene."""

    @property
    def shift_px(self) -> float:
        """Length of the shift, in LR pixels."""
        return math.hypot(self.down_px, self.right_px)

    def beyond(self, common: Misalignment) -> Misalignment:
        """The rest after a common part."""
        return self._replace(
            down_px=self.down_px - common.down_px,
            right_px=self.right_px - common.right_px,
            degrees=self.degrees - common.degrees,
        )


@torch.no_grad()
def measure_misalignment(lr: np.ndarray, hr: np.ndarray, scale: Scale) -> Misalignment:
    """The misalignment of a pair, LR uint8 [h, w, 3] and HR uint8 [s*h, s*w, 3].

    Finds shifts up to a quarter of the shorter side and rotations of a few degrees, within 0.05 LR
    px and 0.05 degrees (tests/doctor/test_alignment.py). A flat picture fits anywhere: look at its
    correlation.
    """
    # Lenses and pixels average in linear light. Elsewhere a blur moves edges to their dark side.
    lr_light, hr_light = (_light(image) for image in _middle(lr, hr, scale))
    smooth_lr = _blurred(_luma(lr_light), SMOOTHING_PX)
    smooth_hr = _blurred(_luma(hr_light), scale * math.hypot(SMOOTHING_PX, CAMERA_PX))
    starts = {(0.0, 0.0), _coarse_shift(smooth_lr, F.avg_pool2d(smooth_hr, scale))}
    fits = [_fitted(smooth_lr, smooth_hr, scale, start) for start in starts]
    best = max(fits, key=lambda fit: fit.correlation)
    return best._replace(gain=_colour_gain(lr_light, hr_light, scale, best))


def _light(image: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> linear light [1, 3, H, W] in [0, 1]."""
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).unsqueeze(0)
    return to_linear(pixels.float() / 255)


def _middle(lr: np.ndarray, hr: np.ndarray, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """The same middle of both pictures, at most `LARGEST_SIDE_PX` LR pixels a side."""
    top, left = (max(0, side - LARGEST_SIDE_PX) // 2 for side in lr.shape[:2])
    bottom = top + LARGEST_SIDE_PX
    right = left + LARGEST_SIDE_PX
    return lr[top:bottom, left:right], hr[
        scale * top : scale * bottom, scale * left : scale * right
    ]


def _luma(rgb: Tensor) -> Tensor:
    """[N, 3, H, W] -> [N, 1, H, W], with the weights of ITU-R BT.601."""
    return (rgb * rgb.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _blurred(image: Tensor, sigma_px: float) -> Tensor:
    """Gaussian blur of [N, C, H, W]; edges are continued."""
    radius = math.ceil(3 * sigma_px)
    steps = torch.arange(-radius, radius + 1, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (steps / sigma_px) ** 2)
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1).expand(image.shape[1], 1, -1, 1)
    image = F.conv2d(
        F.pad(image, [0, 0, radius, radius], mode="replicate"), kernel, groups=image.shape[1]
    )
    return F.conv2d(
        F.pad(image, [radius, radius, 0, 0], mode="replicate"),
        kernel.transpose(2, 3),
        groups=image.shape[1],
    )


def _coarse_shift(lr: Tensor, hr: Tensor) -> tuple[float, float]:
    """(down, right) in whole LR pixels at the peak of the phase correlation of two [1, 1, h, w]."""
    height, width = lr.shape[-2:]
    window = torch.hann_window(height, periodic=False).view(-1, 1) * torch.hann_window(
        width, periodic=False
    )
    lr_waves, hr_waves = (
        torch.fft.rfft2((image[0, 0] - image.mean()) * window) for image in (lr, hr)
    )
    frequency = torch.fft.fftfreq(height).view(-1, 1) ** 2 + torch.fft.rfftfreq(width) ** 2
    cross = lr_waves * hr_waves.conj()
    peaks = torch.fft.irfft2(
        cross / (cross.abs() + 1e-6) * torch.exp(-frequency / 0.02), s=(height, width)
    )
    reach = max(1, int(SEARCH * min(height, width)))
    near = torch.cat([peaks[-reach:], peaks[: reach + 1]])
    near = torch.cat([near[:, -reach:], near[:, : reach + 1]], dim=1)
    down, right = divmod(int(near.argmax()), near.shape[1])
    return float(down - reach), float(right - reach)


def _fitted(lr: Tensor, hr: Tensor, scale: Scale, start: tuple[float, float]) -> Misalignment:
    """Gauss-Newton steps from a shift, on smoothed luma. Correlation -1 where the fit failed."""
    height, width = lr.shape[-2:]
    slopes = torch.cat(
        [
            F.pad(hr[:, :, 2:] - hr[:, :, :-2], [0, 0, 1, 1]),
            F.pad(hr[..., 2:] - hr[..., :-2], [1, 1, 0, 0]),
        ],
        1,
    ) * (scale / 2)
    planes = torch.cat([hr, slopes], 1)
    inside = _edge_free(height, width)
    target = lr[0, 0].double()
    down, right = start
    turn = 0.0
    correlation = -1.0
    reach = SEARCH * min(height, width) + 1
    for _ in range(_STEPS):
        y, x = _positions(height, width, down, right, turn)
        warped, slope_y, slope_x = _sampled(planes, y, x)[0].double()
        mask = inside & (y >= 1) & (y <= height - 1) & (x >= 1) & (x <= width - 1)
        correlation = _correlated(target[mask], warped[mask])
        # Positions in HR move against the shift, and around the centre with the turn.
        around = slope_y * (x - width / 2) * -1 + slope_x * (y - height / 2)
        columns = torch.stack(
            [
                -slope_y[mask],
                -slope_x[mask],
                around[mask],
                warped[mask],
                torch.ones_like(warped[mask]),
            ],
            1,
        )
        contrast = _least_squares(columns[:, 3:], target[mask])[0]
        if not (torch.isfinite(contrast) and contrast.abs() > 1e-3) or mask.sum() < 16:
            return Misalignment(down, right, math.degrees(turn), correlation=correlation)
        columns[:, :3] *= contrast
        step = _least_squares(columns, target[mask] - contrast * warped[mask])[:3].tolist()
        down = down + step[0]
        right = right + step[1]
        turn = turn + step[2]
        if not (abs(down) <= reach and abs(right) <= reach and abs(turn) < 0.3):
            return Misalignment(*start, 0.0, correlation=-1.0)
        if max(map(abs, step)) < _STILL:
            break
    return Misalignment(down, right, math.degrees(turn), correlation=correlation)


def _least_squares(columns: Tensor, target: Tensor) -> Tensor:
    """[n, k] and [n] -> [k], the smallest solution where there are many."""
    return torch.linalg.pinv(columns.T @ columns, hermitian=True) @ (columns.T @ target)


def _positions(
    height: int, width: int, down: float, right: float, turn: float
) -> tuple[Tensor, Tensor]:
    """(y, x), both [h, w]: where in HR the content of each LR pixel lies, in LR pixels with the
    picture's edges at 0 and h or w."""
    y = torch.arange(height, dtype=torch.float64).view(-1, 1) + 0.5 - height / 2 - down
    x = torch.arange(width, dtype=torch.float64).view(1, -1) + 0.5 - width / 2 - right
    cosine = math.cos(turn)
    sine = math.sin(turn)
    return cosine * y - sine * x + height / 2, sine * y + cosine * x + width / 2


def _sampled(planes: Tensor, y: Tensor, x: Tensor, mode: str = "bilinear") -> Tensor:
    """[1, C, H, W] at positions y, x, in units in which the picture's edges lie at 0 and
    `y.shape`."""
    height, width = y.shape
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], -1).unsqueeze(0).to(planes.dtype)
    return F.grid_sample(planes, grid, mode=mode, padding_mode="border", align_corners=False)


def _edge_free(height: int, width: int) -> Tensor:
    """[h, w]: pixels that the smoothing computed without continued edges."""
    margin = min(math.ceil(2 * SMOOTHING_PX), (min(height, width) - 1) // 4)
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[margin : height - margin, margin : width - margin] = True
    return inside


def _correlated(x: Tensor, y: Tensor) -> float:
    """Pearson's correlation; 0 where one of them is constant."""
    x = x - x.mean()
    y = y - y.mean()
    size = float(x.norm() * y.norm())
    return float(x @ y) / size if size > 1e-9 else 0.0


def _colour_gain(
    lr: Tensor, hr: Tensor, scale: Scale, misalignment: Misalignment
) -> tuple[float, float, float]:
    """Slope of LR over HR in each channel, both blurred by `COLOUR_PX`."""
    height, width = lr.shape[-2:]
    sigma = min(COLOUR_PX, min(height, width) / 8)
    y, x = _positions(
        height,
        width,
        misalignment.down_px,
        misalignment.right_px,
        math.radians(misalignment.degrees),
    )
    moved = _sampled(F.avg_pool2d(hr, scale), y, x)
    lr_values, hr_values = (_blurred(image, sigma)[0].flatten(1).double() for image in (lr, moved))
    lr_values = lr_values - lr_values.mean(1, keepdim=True)
    hr_values = hr_values - hr_values.mean(1, keepdim=True)
    hr_variance = hr_values.square().sum(1)
    gains = torch.where(
        hr_variance > 1e-6 * lr_values.shape[1],
        (lr_values * hr_values).sum(1) / hr_variance,
        torch.nan,
    )
    red, green, blue = gains.tolist()
    return red, green, blue


@torch.no_grad()
def displaced(hr: np.ndarray, misalignment: Misalignment, scale: Scale) -> np.ndarray:
    """HR moved and turned by a misalignment, as LR is: uint8 [H, W, 3] -> the same. Bicubic, edges
    continued; colours stay."""
    height, width = hr.shape[:2]
    y, x = _positions(
        height,
        width,
        scale * misalignment.down_px,
        scale * misalignment.right_px,
        math.radians(misalignment.degrees),
    )
    planes = torch.from_numpy(np.ascontiguousarray(hr)).permute(2, 0, 1).unsqueeze(0).float()
    moved = _sampled(planes, y, x, "bicubic")[0].clamp(0, 255).round().to(torch.uint8)
    return moved.permute(1, 2, 0).numpy()
