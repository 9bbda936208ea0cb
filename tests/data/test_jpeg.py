"""JPEG in tensors beside libjpeg's, and its gradients."""

from __future__ import annotations

import pytest
import torch

from ibsd.data.jpeg import libjpeg, smooth_jpeg
from ibsd.data.samples import sample
from ibsd.images.rgb import to_tensor


@pytest.mark.parametrize("quality", [30, 60, 90])
def test_jpeg_in_tensors_is_near_libjpeg(quality: int) -> None:
    hr = to_tensor(sample("chelsea")[:128, :128])
    for subsampled in (False, True):
        real, ours = (
            libjpeg(hr, quality, subsampled),
            smooth_jpeg(hr, torch.tensor([float(quality)]), subsampled),
        )
        assert float((real - ours).abs().mean()) < max(
            0.4 * float((real - hr).abs().mean()), 1.3 / 255
        )


def test_gradients_pass_jpeg() -> None:
    image = (
        0.4 + 0.2 * torch.rand(1, 3, 17, 24, generator=torch.Generator().manual_seed(0))
    ).requires_grad_()
    smooth_jpeg(image, torch.tensor([50.0])).mean().backward()
    assert image.grad is not None and float(image.grad.mean()) == pytest.approx(
        1 / image.numel(), rel=0.1
    )
