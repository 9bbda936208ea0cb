"""How LR and HR of a pair lie on each other: shift, rotation and colour, measured; and HR moved by
what was measured.

Both pictures are smoothed alike and HR is fitted to LR by Gauss-Newton steps on five unknowns
(shift, rotation, contrast, brightness), from the peak of a phase correlation (Lucas and Kanade,
IJCAI 1981; Kuglin and Hines, 1975). HR is sampled where LR's pixel centres fall, at its own
resolution, so that the fit sees no grid of LR pixels in it. A blur that is the same to all sides
moves nothing.
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
"""Standard deviation of the blur before the fit, in LR pixels: below it LR holds little but
noise."""
CAMERA_PX = 0.5
"""What LR is blurred more than HR, about: its pixel's area and its lens, in LR pixels."""
COLOUR_PX = 4.0
"""Of the blur before colours are compared, so wide that a lens's blur changes no contrast."""
LARGEST_SIDE_PX = 512
"""Of larger LR pictures the middle is looked at."""
SEARCH = 0.25
"""Largest shift that is looked for, as a share of the shorter side."""
_STEPS = 12


class Misalignment(NamedTuple):
    """Where LR's content lies beside HR's."""

    down_px: float
    """In LR pixels; positive: LR's content lies below where HR has it."""
    right_px: float
    degrees: float
    """Of LR's content about the picture's centre; positive: clockwise, as seen."""
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    """Contrast of LR over HR's, for R, G and B, on a coarse scale; nan where HR is flat."""
    correlation: float = 1.0
    """Between LR and HR laid upon it, smoothed luma, in [-1, 1]; of one scene it is near 1."""

    @property
    def shift_px(self) -> float:
        """Length of the shift, in LR pixels."""
        return math.hypot(self.down_px, self.right_px)

    def beyond(self, common: Misalignment) -> Misalignment:
        """What is left without a common part."""
        return self._replace(
            down_px=self.down_px - common.down_px,
            right_px=self.right_px - common.right_px,
            degrees=self.degrees - common.degrees,
        )


@torch.no_grad()
def measure(lr: np.ndarray, hr: np.ndarray, scale: Scale) -> Misalignment:
    """The misalignment of a pair, LR uint8 [h, w, 3] and HR uint8 [s*h, s*w, 3].

    Shifts up to a quarter of the shorter side and rotations of a few degrees are found. Planted
    ones are met within 0.05 LR px and 0.05 degrees (tests/doctor/test_alignment.py). A flat picture
    fits anywhere: look at its correlation.
    """
    lr, hr = middle(lr, hr, scale)
    ours, theirs = (
        torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).unsqueeze(0).float() / 255
        for image in (lr, hr)
    )
    ours, theirs = (
        to_linear(ours),
        to_linear(theirs),
    )  # where lenses and pixels average; elsewhere a blur moves edges to their dark side
    smooth_lr = blurred(luma(ours), SMOOTHING_PX)
    smooth_hr = blurred(luma(theirs), scale * math.hypot(SMOOTHING_PX, CAMERA_PX))
    starts = {(0.0, 0.0), coarse_shift(smooth_lr, F.avg_pool2d(smooth_hr, scale))}
    found = max(
        (fitted(smooth_lr, smooth_hr, scale, start) for start in starts),
        key=lambda each: each.correlation,
    )
    return found._replace(gain=colour_gain(ours, theirs, scale, found))


def middle(lr: np.ndarray, hr: np.ndarray, scale: Scale) -> tuple[np.ndarray, np.ndarray]:
    """The same middle of both pictures, at most `LARGEST_SIDE_PX` LR pixels a side."""
    top, left = (max(0, side - LARGEST_SIDE_PX) // 2 for side in lr.shape[:2])
    bottom, right = top + LARGEST_SIDE_PX, left + LARGEST_SIDE_PX
    return lr[top:bottom, left:right], hr[
        scale * top : scale * bottom, scale * left : scale * right
    ]


def luma(rgb: Tensor) -> Tensor:
    """[N, 3, H, W] -> [N, 1, H, W], with the weights of ITU-R BT.601."""
    return (rgb * rgb.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def blurred(image: Tensor, sigma_px: float) -> Tensor:
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


def coarse_shift(lr: Tensor, hr: Tensor) -> tuple[float, float]:
    """(down, right) in whole LR pixels at the peak of the phase correlation of two [1, 1, h, w]."""
    height, width = lr.shape[-2:]
    window = torch.hann_window(height, periodic=False).view(-1, 1) * torch.hann_window(
        width, periodic=False
    )
    ours, theirs = (torch.fft.rfft2((image[0, 0] - image.mean()) * window) for image in (lr, hr))
    frequency = torch.fft.fftfreq(height).view(-1, 1) ** 2 + torch.fft.rfftfreq(width) ** 2
    cross = ours * theirs.conj()
    peaks = torch.fft.irfft2(
        cross / (cross.abs() + 1e-6) * torch.exp(-frequency / 0.02), s=(height, width)
    )
    reach = max(1, int(SEARCH * min(height, width)))
    near = torch.cat([peaks[-reach:], peaks[: reach + 1]])
    near = torch.cat([near[:, -reach:], near[:, : reach + 1]], dim=1)
    down, right = divmod(int(near.argmax()), near.shape[1])
    return float(down - reach), float(right - reach)


def fitted(lr: Tensor, hr: Tensor, scale: Scale, start: tuple[float, float]) -> Misalignment:
    """Gauss-Newton from a shift; both pictures smoothed luma. Correlation -1 where nothing could be
    fitted."""
    height, width = lr.shape[-2:]
    slopes = torch.cat(
        [
            F.pad(hr[:, :, 2:] - hr[:, :, :-2], [0, 0, 1, 1]),
            F.pad(hr[..., 2:] - hr[..., :-2], [1, 1, 0, 0]),
        ],
        1,
    ) * (scale / 2)
    planes = torch.cat([hr, slopes], 1)
    inside = edge_free(height, width)
    target = lr[0, 0].double()
    (down, right), turn = start, 0.0
    correlation, reach = -1.0, SEARCH * min(height, width) + 1
    for _ in range(_STEPS):
        y, x = from_where(height, width, down, right, turn)
        warped, slope_y, slope_x = sampled(planes, y, x)[0].double()
        mask = inside & (y >= 1) & (y <= height - 1) & (x >= 1) & (x <= width - 1)
        correlation = correlated(target[mask], warped[mask])
        # y and x are where each LR pixel looks in HR: they move against the shift, and around the
        # centre with the turn.
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
        contrast = least_squares(columns[:, 3:], target[mask])[0]
        if not (torch.isfinite(contrast) and contrast.abs() > 1e-3) or mask.sum() < 16:
            return Misalignment(down, right, math.degrees(turn), correlation=correlation)
        columns[:, :3] *= contrast
        step = least_squares(columns, target[mask] - contrast * warped[mask])[:3].tolist()
        down, right, turn = down + step[0], right + step[1], turn + step[2]
        if not (abs(down) <= reach and abs(right) <= reach and abs(turn) < 0.3):
            return Misalignment(*start, 0.0, correlation=-1.0)
        if max(map(abs, step)) < 1e-4:
            break
    return Misalignment(down, right, math.degrees(turn), correlation=correlation)


def least_squares(columns: Tensor, target: Tensor) -> Tensor:
    """[n, k] and [n] -> [k], the smallest solution where there are many."""
    return torch.linalg.pinv(columns.T @ columns, hermitian=True) @ (columns.T @ target)


def from_where(
    height: int, width: int, down: float, right: float, turn: float
) -> tuple[Tensor, Tensor]:
    """(y, x) [h, w] in LR pixels, edges at 0 and h: what HR shows there, LR shows at each of its
    pixels."""
    y = torch.arange(height, dtype=torch.float64).view(-1, 1) + 0.5 - height / 2 - down
    x = torch.arange(width, dtype=torch.float64).view(1, -1) + 0.5 - width / 2 - right
    cosine, sine = math.cos(turn), math.sin(turn)
    return cosine * y - sine * x + height / 2, sine * y + cosine * x + width / 2


def sampled(planes: Tensor, y: Tensor, x: Tensor, mode: str = "bilinear") -> Tensor:
    """[1, C, H, W] at positions in units in which y and x run from 0 to the picture's lower and
    right edge in `y.shape` steps."""
    height, width = y.shape
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], -1).unsqueeze(0).to(planes.dtype)
    return F.grid_sample(planes, grid, mode=mode, padding_mode="border", align_corners=False)


def edge_free(height: int, width: int) -> Tensor:
    """Where the smoothing has not met a continued edge."""
    margin = min(math.ceil(2 * SMOOTHING_PX), (min(height, width) - 1) // 4)
    inside = torch.zeros(height, width, dtype=torch.bool)
    inside[margin : height - margin, margin : width - margin] = True
    return inside


def correlated(x: Tensor, y: Tensor) -> float:
    """Pearson's correlation; 0 where one of them is constant."""
    x, y = x - x.mean(), y - y.mean()
    size = float(x.norm() * y.norm())
    return float(x @ y) / size if size > 1e-9 else 0.0


def colour_gain(
    lr: Tensor, hr: Tensor, scale: Scale, found: Misalignment
) -> tuple[float, float, float]:
    """Slope of LR over HR in each channel, both blurred so widely that a lens's blur no longer
    tells."""
    height, width = lr.shape[-2:]
    sigma = min(COLOUR_PX, min(height, width) / 8)
    y, x = from_where(height, width, found.down_px, found.right_px, math.radians(found.degrees))
    moved = sampled(F.avg_pool2d(hr, scale), y, x)
    ours, theirs = (blurred(image, sigma)[0].flatten(1).double() for image in (lr, moved))
    ours, theirs = ours - ours.mean(1, keepdim=True), theirs - theirs.mean(1, keepdim=True)
    variance = theirs.square().sum(1)
    gains = torch.where(
        variance > 1e-6 * ours.shape[1], (ours * theirs).sum(1) / variance, torch.nan
    )
    red, green, blue = gains.tolist()
    return red, green, blue


@torch.no_grad()
def displaced(hr: np.ndarray, found: Misalignment, scale: Scale) -> np.ndarray:
    """HR as LR's geometry has it: moved and turned as `found` says, bicubic, edges continued;
    colours stay. uint8 [H, W, 3] twice."""
    height, width = hr.shape[:2]
    y, x = from_where(
        height, width, scale * found.down_px, scale * found.right_px, math.radians(found.degrees)
    )
    planes = torch.from_numpy(np.ascontiguousarray(hr)).permute(2, 0, 1).unsqueeze(0).float()
    moved = sampled(planes, y, x, "bicubic")[0].clamp(0, 255).round().to(torch.uint8)
    return moved.permute(1, 2, 0).numpy()
