"""CDC's losses: the published value, closed forms, the regions against an independent Harris
detector, and that they train."""

from __future__ import annotations

import numpy as np
import pytest
import scipy
import torch

import parity
import tiny
from ibsd.distillation.cdc import ComponentLoss, gradient_weighted_loss, region_masks, sobel
from ibsd.students.cdc import CDC
from ibsd.types import InputError


def test_gradient_weighted_loss_equals_the_published_value():
    reference = parity.REFERENCE["gradient_weighted"]
    a, b = parity.image(*reference["shape"]), parity.image(*reference["shape"], parity.PHASE + 0.8)
    assert float(gradient_weighted_loss(a, b)) == pytest.approx(reference["loss"], rel=1e-9)


def test_gradient_weighted_loss_of_one_wrong_pixel_by_hand():
    sr, hr, d = (
        torch.zeros(1, 1, 5, 5, dtype=torch.float64),
        torch.zeros(1, 1, 5, 5, dtype=torch.float64),
        0.25,
    )
    sr[0, 0, 2, 2] = d
    assert float(gradient_weighted_loss(sr, hr)) == pytest.approx(
        d / 25
    )  # at the pixel itself both Sobel kernels are 0
    hr[0, 0, 2, 3] = (
        # now each of the two wrong pixels has a horizontal difference of 2 d, and no vertical one
        d
    )
    assert float(gradient_weighted_loss(sr, hr)) == pytest.approx(2 * d * (1 + 4 * 2 * d) / 25)


def test_gradient_weighted_loss_without_factor_is_l1_and_never_below_it():
    a, b = parity.image(2, 3, 9, 8), parity.image(2, 3, 9, 8, 1.0)
    l1 = (a - b).abs().mean()
    torch.testing.assert_close(gradient_weighted_loss(a, b, factor=0), l1)
    assert float(gradient_weighted_loss(a, b)) > float(l1)
    assert float(gradient_weighted_loss(a, a)) == 0


def test_sobel_equals_scipy():
    x = parity.image(1, 2, 7, 9)
    across, down = sobel(x, "reflect")
    for channel in range(2):
        plane = x[0, channel].numpy()
        np.testing.assert_allclose(
            across[0, channel], scipy.ndimage.sobel(plane, axis=1, mode="mirror"), atol=1e-12
        )
        np.testing.assert_allclose(
            down[0, channel], scipy.ndimage.sobel(plane, axis=0, mode="mirror"), atol=1e-12
        )


def test_regions_equal_a_harris_detector_by_scipy():
    hr = torch.from_numpy(
        np.random.default_rng(0).random((1, 3, 20, 23)).repeat(3, axis=2).repeat(3, axis=3)
    ).float()
    grey = np.tensordot([0.257, 0.564, 0.098], hr[0].double().numpy(), axes=1)
    dx, dy = (scipy.ndimage.sobel(grey, axis=axis, mode="mirror") for axis in (1, 0))
    xx, yy, xy = (
        9 * scipy.ndimage.uniform_filter(product, 3, mode="mirror")
        for product in (dx * dx, dy * dy, dx * dy)
    )
    response = xx * yy - xy**2 - 0.04 * (xx + yy) ** 2
    masks = region_masks(hr)[0, :, 0].numpy()
    clear = (abs(response - 0.01 * response.max()) > 1e-6) & (
        abs(response + 0.001 * response.max()) > 1e-6
    )
    assert clear.mean() > 0.99
    assert np.array_equal(masks[2][clear], (response > 0.01 * response.max())[clear])
    assert np.array_equal(masks[1][clear], (response < -0.001 * response.max())[clear])
    assert np.array_equal(masks.sum(axis=0), np.ones_like(grey))
    assert all(mask.mean() > 0.01 for mask in masks[1:])


def test_a_square_has_corners_edges_and_flat_parts_where_they_are():
    hr = torch.zeros(2, 3, 32, 32)
    hr[0, :, 8:24, 8:24] = 1
    flat, edge, corner = region_masks(hr)[0, :, 0]
    assert bool(corner[8, 8]) and bool(corner[23, 23])
    assert bool(edge[16, 8]) and bool(edge[8, 16])
    assert bool(flat[16, 16]) and bool(flat[2, 2])
    assert bool((region_masks(hr)[1, 0] == 1).all())  # nothing in it: all flat


def objective(**weights: float) -> ComponentLoss:
    torch.manual_seed(0)
    return ComponentLoss(CDC(2, width=4, num_hourglasses=4), **weights)


@pytest.mark.slow
def test_it_trains_and_reaches_every_parameter():
    training, batch = objective(), tiny.source(patch_px=8).next_batch()
    optimiser = torch.optim.Adam(training.student.parameters(), 1e-3)
    totals = []
    for _ in range(12):
        report = training.loss(batch)
        optimiser.zero_grad()
        report.total.backward()
        assert all(
            bool(parameter.grad.isfinite().all()) for parameter in training.student.parameters()
        )
        optimiser.step()
        totals.append(float(report.total.detach()))
    assert totals[-1] < 0.95 * totals[0]
    assert set(report.terms) == {"gradient_weighted", "flat", "edge", "corner"}


def test_a_component_learns_only_where_its_region_is():
    training, batch = objective(), tiny.source(patch_px=8).next_batch()
    terms, _ = training.terms(batch)
    head = training.network.get_submodule("upsample_flat")
    for name in ("edge", "corner"):
        gradients = torch.autograd.grad(terms[name], list(head.parameters()), retain_graph=True)
        assert not any(bool(gradient.any()) for gradient in gradients)
    with torch.no_grad():
        masks, (_, pictures, _) = region_masks(batch.hr), training.network.components(batch.lr)
        changed = torch.where(masks[:, 0] == 1, pictures[:, 0], pictures[:, 0] + 1)
        losses = [
            gradient_weighted_loss(masks[:, 0] * picture, masks[:, 0] * batch.hr)
            for picture in (pictures[:, 0], changed)
        ]
    assert float(losses[0]) == float(losses[1]) == pytest.approx(float(terms["flat"].detach()))


def test_weights_of_zero_leave_the_loss_on_the_result():
    training, batch = objective(flat=0, edge=0, corner=0), tiny.source(patch_px=8).next_batch()
    report = training.loss(batch)
    assert torch.equal(report.total.detach(), report.terms["gradient_weighted"])


def test_figures_tell_the_regions_and_what_the_maps_claim_of_them():
    training, batch = objective(), tiny.source(patch_px=8).next_batch()
    figures = training.diagnostics(batch)
    assert sum(figures[f"region/{name}"] for name in ("flat", "edge", "corner")) == pytest.approx(1)
    assert all(0 < figures[f"map/{name}"] < 1 for name in ("flat", "edge", "corner"))


def test_any_other_network_is_refused():
    with pytest.raises(InputError, match="needs student.name cdc, not imdn"):
        ComponentLoss(tiny.student())
