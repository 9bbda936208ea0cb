"""Each tile finds its own shift, whatever gain, offset, tone and blur lie over it."""

from __future__ import annotations

import numpy as np
import pytest

from ibsd.registration.light import Plane, blurred
from ibsd.registration.tiles import fit_tiles, tile_px


def pictures(right: float, down: float) -> tuple[Plane, Plane]:
    """A smooth picture, and the same seen from a place `right` and `down` further."""
    y, x = np.mgrid[:96, :96].astype(np.float64)

    def scene(x: np.ndarray, y: np.ndarray) -> Plane:
        waves = np.sin(x / 3) * np.cos(y / 4) + np.sin(x / 5 + y / 3.5) + np.cos(y / 2.7 - x / 7)
        return (0.5 + 0.1 * waves).astype(np.float32)

    return scene(x + right, y + down), scene(x, y)


EVERY = np.ones((96, 96), bool)


def test_shift() -> None:
    target, source = pictures(0.3, -0.2)
    fits = fit_tiles(target, source, EVERY, 24)
    assert fits.usable.all()
    assert fits.shifts == pytest.approx(np.tile([0.3, -0.2], (16, 1)), abs=0.05)
    assert fits.centres[1] == pytest.approx([36, 12])


def test_gain_offset_and_tone_pull_at_nothing() -> None:
    target, source = pictures(0.2, 0.1)
    plain = fit_tiles(target, source, EVERY, 24)
    changed = fit_tiles(0.8 * target**1.2 + 0.05, source, EVERY, 24)
    assert changed.shifts == pytest.approx(plain.shifts, abs=0.01)
    assert changed.gains.mean() == pytest.approx(0.8 * 1.2 * 0.5**0.2, rel=0.1)


def test_an_edge_tells_its_shift_though_tones_bend() -> None:
    """In one tile alone an edge that moved looks like a bend. Many tiles bend alike."""
    x = np.mgrid[:96, :96][1].astype(np.float64)
    noise = np.random.default_rng(0).normal(0, 0.004, (2, 96, 96))
    target, source = (
        (0.5 - 0.3 * np.cos((x + right) * np.pi / 24) + noise[kind]).astype(np.float32)
        for kind, right in enumerate((0.3, 0.0))
    )
    many, few = (
        fit_tiles(target[:rows] ** 1.2, source[:rows], EVERY[:rows], 12) for rows in (96, 24)
    )
    assert many.tone == pytest.approx(1.2, abs=0.05)
    assert few.tone == 1.0
    assert many.information[:, 0, 0].mean() > 1.2 * few.information[:, 0, 0].mean()


def test_blur_is_measured() -> None:
    _, source = pictures(0, 0)
    fits = fit_tiles(blurred(source, 0.5), source, EVERY, 24)
    inner = fits.blurs.reshape(4, 4)[1:3, 1:3]
    assert inner == pytest.approx(np.full((2, 2), 0.25), rel=0.3)
    assert abs(fits.shifts).max() < 0.02


def test_a_flat_or_hidden_tile_tells_nothing() -> None:
    target, source = pictures(0.2, 0.1)
    target[:24, :24] = source[:24, :24] = 0.5
    usable = EVERY.copy()
    usable[:24, 24:48] = False
    fits = fit_tiles(target, source, usable, 24)
    assert np.trace(fits.information[0]) < 1e-3 * np.trace(fits.information[5])
    assert not fits.usable[1]


def test_rounding_errors_of_a_flat_tile_outvote_no_other() -> None:
    target, source = pictures(0.2, 0.1)
    draw = np.random.default_rng(0)
    for plane in (target, source):
        plane[48:] = 0.02 + 1e-5 * draw.normal(size=(48, 96))
    trace = np.trace(fit_tiles(target, source, EVERY, 8).information, axis1=1, axis2=2)
    assert trace[72:].max() < 1e-2 * np.median(trace[:72])


def test_sides_grow_with_the_picture() -> None:
    assert [tile_px(side, side) for side in (50, 500, 5000)] == [8, 20, 64]
