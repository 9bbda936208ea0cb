"""LPIPS: how different two pictures look to a network that learned to agree with people. Offline:
the weights lie in the package."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

from ibsd.types import InputError, require

MINIMUM_SIZE_PX = 31
"""Below this height or width AlexNet's second pooling has nothing left to pool."""

_SHIFT = (-0.030, -0.088, -0.188)
_SPREAD = (0.458, 0.448, 0.450)
"""ImageNet's mean and deviation, moved to pictures in [-1, 1]; the rounding is the LPIPS
authors'."""


def lpips_weights() -> dict[str, Tensor]:
    """The weights inside the package: two files, so that neither weighs more than 3 MB; sources and
    licences in weights/NOTICE.md."""
    weights: dict[str, Tensor] = {}
    folder = Path(__file__).parent / "weights"
    for part in ("1of2", "2of2"):
        weights |= load_file(folder / f"lpips_alex_v0.1-{part}.safetensors")
    return weights


class Lpips(nn.Module):
    """LPIPS, AlexNet, v0.1: `Lpips()(sr, hr)` -> [N], 0 for equal pictures, larger is worse.

    Source: Zhang et al., CVPR 2018, arXiv:1801.03924, equation 1.

    Features of the five ReLU layers, each pixel scaled to unit length over the channels; their
    squared difference, weighted per channel as learned, mean over the pixels, sum over the layers.

    Both inputs: [N, 3, H, W], RGB in [0, 1] (moved to [-1, 1] inside), neither clamped nor rounded,
    at least 31 x 31 px. Errors: InputError for smaller or unequal ones, and integers. Computed in
    float32, also under autocast and with TF32 on. Gradients flow to both inputs, none to the
    weights, which are buffers.

    `weights`: tensors with torchvision's AlexNet keys (`features.0.weight`, ...) and `lin0.weight`
    to `lin4.weight`. The default ones are in the package. Their last three convolutions are stored
    in half precision, which moves no LPIPS by 1e-4 (benchmarks/lpips_half.py).
    """

    def __init__(self, weights: Mapping[str, Tensor] | None = None) -> None:
        super().__init__()
        self._references: MutableMapping[Tensor, tuple[Tensor, list[Tensor]]]
        self._references = WeakTensorKeyDictionary()
        for key, value in (lpips_weights() if weights is None else weights).items():
            self.register_buffer(key.replace(".", "_"), value.float())
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("spread", torch.tensor(_SPREAD).view(1, 3, 1, 1))

    def _features(self, picture: Tensor) -> list[Tensor]:
        """The five ReLU outputs of AlexNet, each pixel of unit length over the channels."""
        x = ((2 * picture - 1) - self.get_buffer("shift")) / self.get_buffer("spread")
        features: list[Tensor] = []
        for layer, stride, padding in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
            if layer in (3, 6):
                x = F.max_pool2d(x, 3, 2)
            weight = self.get_buffer(f"features_{layer}_weight")
            bias = self.get_buffer(f"features_{layer}_bias")
            x = F.relu(F.conv2d(x, weight, bias, stride, padding))
            features.append(F.normalize(x, dim=1, eps=1e-10))
        return features

    def _reference(self, hr: Tensor) -> list[Tensor]:
        """Features of HR, kept as long as that tensor is: many pictures are compared with one."""
        if torch.is_grad_enabled():
            return self._features(hr.float())
        kept = self._references.get(hr)
        if kept is None or not torch.equal(kept[0], hr):  # NumPy may have changed it in place
            kept = self._references[hr] = hr.clone(), self._features(hr.float())
        return kept[1]

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        if sr.shape != hr.shape or sr.ndim != 4 or sr.shape[1] != 3:
            raise InputError(
                "LPIPS compares two [N, 3, H, W] tensors of equal shape, "
                f"not {list(sr.shape)} and {list(hr.shape)}"
            )
        fits = sr.is_floating_point() and hr.is_floating_point()
        require("LPIPS: the types", [sr.dtype, hr.dtype], fits, "floating, of values in [0, 1]")
        if min(sr.shape[-2:]) < MINIMUM_SIZE_PX:
            raise InputError(
                f"LPIPS needs images of at least {MINIMUM_SIZE_PX} x {MINIMUM_SIZE_PX} px, "
                f"not {sr.shape[-2]} x {sr.shape[-1]}"
            )
        # A metric must not depend on what the caller trains in: bf16 or TF32 convolutions would
        # move the fourth decimal.
        with (
            torch.autocast(sr.device.type, enabled=False),
            torch.backends.cudnn.flags(enabled=True, allow_tf32=False),
        ):
            distance = torch.zeros(len(sr), dtype=torch.float32, device=sr.device)
            pairs = zip(self._features(sr.float()), self._reference(hr), strict=True)
            for number, (a, b) in enumerate(pairs):
                weighted = (a - b).square() * self.get_buffer(f"lin{number}_weight")
                distance = distance + weighted.sum(1).mean((1, 2))
        return distance


@lru_cache(maxsize=4)
def _shared(device: torch.device) -> Lpips:
    # weights made in a caller's inference mode could never serve a gradient again
    with torch.inference_mode(False):
        return Lpips().to(device)


def lpips(sr: Tensor, hr: Tensor) -> Tensor:
    """LPIPS per image, [N, 3, H, W] twice -> [N] float32 on the inputs' device; see `Lpips`. The
    network is loaded once per device."""
    return _shared(sr.device)(sr, hr)
