"""One link's estimator against the published arithmetic, written out image by image."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ibsd.information import LaplaceEstimator
from ibsd.information.estimator import SPREAD_FLOOR


def estimator(channels: int = 5, **options: float) -> LaplaceEstimator:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LaplaceEstimator(channels, **options)


def written_out(model: LaplaceEstimator, later: Tensor) -> tuple[Tensor, Tensor]:
    """mu and raw b with a kernel of its own for each image, as the published loop makes it:
    convolve every pixel, then pool."""
    results = []
    for network, kernel in ((model.mean, model.kernel["k_mu"]), (model.var, model.kernel["k_var"])):
        images = []
        for one in later:
            g = kernel(one[None]).mean(dim=(2, 3))[0]  # [C]
            plane = torch.stack(
                [
                    sum(g[c] * one[c, y, x] for c in range(len(g)))
                    for y in range(one.shape[1])
                    for x in range(one.shape[2])
                ]
            )
            images.append(network(one[None])[0] + plane.view(one.shape[1:]))
        results.append(torch.stack(images))
    return results[0], results[1]


def test_equals_the_loop_over_images():
    model = estimator().double()
    later = torch.randn(3, 5, 2, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    location, spread = model(later)
    expected, raw = written_out(model, later)
    torch.testing.assert_close(location, expected)
    torch.testing.assert_close(spread, 0.1 * F.softplus(raw) + SPREAD_FLOOR)


def test_an_image_does_not_see_the_others():
    model, later = estimator(), torch.randn(4, 5, 3, 3, generator=torch.Generator().manual_seed(1))
    for together, alone in zip(model(later), model(later[2:3]), strict=True):
        torch.testing.assert_close(together[2:3], alone)


def test_moving_pixels_moves_the_answer():
    model, later = estimator(), torch.randn(2, 5, 4, 6, generator=torch.Generator().manual_seed(1))
    for here, there in zip(model(later), model(later.roll((1, 2), (2, 3))), strict=True):
        torch.testing.assert_close(here.roll((1, 2), (2, 3)), there)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_autocast_does_not_change_its_precision(dtype: torch.dtype):
    model, later = (
        estimator(),
        torch.randn(2, 5, 6, 6, generator=torch.Generator().manual_seed(1)).to(dtype),
    )
    exact = model(later.float())
    with torch.autocast("cpu", torch.bfloat16):
        ours = model(later)
    for x, y in zip(ours, exact, strict=True):
        assert x.dtype == torch.float32
        assert torch.equal(x, y)


@pytest.mark.parametrize("floor", [1e-6, 1e-3, 0.5])
def test_spread_never_falls_below_the_floor(floor: float):
    model = estimator(floor=floor)
    torch.nn.init.constant_(model.var[2].bias, -1e4)
    later = torch.randn(2, 5, 6, 6, generator=torch.Generator().manual_seed(1))
    spread = model(later)[1].detach()
    assert float(spread.min()) == pytest.approx(floor, rel=1e-6)
    assert float(spread.min()) >= torch.tensor(floor)


def test_gradients_reach_the_node_and_every_parameter():
    model = estimator()
    later = torch.randn(2, 5, 6, 6, generator=torch.Generator().manual_seed(1)).requires_grad_()
    location, spread = model(later)
    for output, silent in ((location, "var"), (spread, "mean")):
        model.zero_grad(set_to_none=True)
        (node,) = torch.autograd.grad(output.square().sum(), later, retain_graph=True)
        assert float(node.abs().min()) > 0
        output.square().sum().backward(retain_graph=True, inputs=list(model.parameters()))
        for name, parameter in model.named_parameters():
            touched = parameter.grad is not None and float(parameter.grad.abs().sum()) > 0
            assert touched != (
                name.startswith(silent)
                or name.startswith(f"kernel.k_{'mu' if silent == 'mean' else 'var'}")
            ), name


def test_one_pixel_and_flat_maps_are_finite():
    model = estimator()
    for later in (torch.randn(1, 5, 1, 1), torch.zeros(2, 5, 3, 3), torch.full((2, 5, 3, 3), 1e4)):
        later.requires_grad_()
        total = sum(output.sum() for output in model(later))
        total.backward()
        assert bool(later.grad.isfinite().all())
