"""LPIPS: the authors' examples, laws, and independence from the caller's precision."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ibsd.images.rgb import read_rgb, to_tensor
from ibsd.metrics import Lpips, lpips, perceptual
from ibsd.metrics.perceptual import MINIMUM_SIZE_PX
from ibsd.types import InputError

REFERENCE, FIRST, SECOND = (
    to_tensor(read_rgb(Path(__file__).parent / "pictures" / f"ex_{name}.png"))
    for name in ("ref", "p0", "p1")
)


def test_the_authors_example_pictures() -> None:
    distance = lpips(torch.cat([FIRST, SECOND]), torch.cat([REFERENCE, REFERENCE]))
    assert [round(value, 4) for value in distance.tolist()] == [0.7219, 0.1376]
    # 0.721881 and 0.137566 with every weight in float32
    assert distance.tolist() == pytest.approx([0.721881, 0.137566], abs=1e-4)


def test_zero_for_equal_pictures_and_symmetric() -> None:
    assert lpips(FIRST, FIRST).tolist() == [0]
    assert lpips(FIRST, REFERENCE).item() == pytest.approx(lpips(REFERENCE, FIRST).item(), rel=1e-6)


def test_gradients_reach_the_pictures_only_and_are_finite_at_the_minimum() -> None:
    picture = REFERENCE.clone().requires_grad_()
    network = Lpips()
    network(picture, REFERENCE).sum().backward()
    assert picture.grad is not None
    assert torch.isfinite(picture.grad).all()
    assert not list(network.parameters())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_computed_in_float32_whatever_comes_in(dtype: torch.dtype) -> None:
    rounded = FIRST.to(dtype)
    distance = lpips(rounded, REFERENCE.to(dtype))
    assert distance.dtype == torch.float32
    assert distance.item() == lpips(rounded.float(), REFERENCE.to(dtype).float()).item()


def test_a_first_call_in_inference_mode_spoils_no_later_gradient() -> None:
    perceptual._shared.cache_clear()
    with torch.inference_mode():
        lpips(FIRST, REFERENCE)
    lpips(FIRST.clone().requires_grad_(), REFERENCE).sum().backward()


def test_autocast_changes_nothing() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        distance = lpips(FIRST, REFERENCE)
    assert distance.item() == lpips(FIRST, REFERENCE).item()


def test_sizes() -> None:
    smallest = torch.rand(1, 3, MINIMUM_SIZE_PX, MINIMUM_SIZE_PX)
    assert lpips(smallest, 1 - smallest).item() > 0
    with pytest.raises(InputError, match="at least 31 x 31 px, not 30 x 31"):
        lpips(smallest[..., 1:, :], smallest[..., 1:, :])
    with pytest.raises(InputError, match="values in .0, 1."):
        lpips(torch.zeros(1, 3, 31, 31).byte(), torch.zeros(1, 3, 31, 31).byte())
    with pytest.raises(InputError, match="equal shape"):
        lpips(smallest, FIRST)


def test_the_shipped_files_are_small_enough_for_git() -> None:
    sizes = [
        path.stat().st_size
        for path in (Path(perceptual.__file__).parent / "weights").glob("*.safetensors")
    ]
    assert len(sizes) == 2
    assert max(sizes) < 3_000_000


def test_a_kept_reference_is_seen_to_change_and_forgotten_with_its_tensor() -> None:
    network = Lpips()
    hr = REFERENCE.clone()
    with torch.no_grad():
        assert network(FIRST, hr).item() == network(FIRST, REFERENCE.clone()).item()
        hr.mul_(0.5)
        assert network(FIRST, hr).item() == network(FIRST, REFERENCE * 0.5).item()
        hr.numpy()[:] *= 0.5  # of which torch's count of changes knows nothing
        assert network(FIRST, hr).item() == network(FIRST, REFERENCE * 0.25).item()
    with torch.inference_mode():
        assert network(FIRST, hr).item() == network(FIRST, REFERENCE * 0.25).item()
    assert len(network._references) == 1
    del hr
    assert len(network._references) == 0
