"""Charts hold sharp panels and detail everywhere."""

from __future__ import annotations

import numpy as np

from ibsd.data.samples import sample
from ibsd.registration.charts import draw_chart, texture


def test_a_texture_has_detail_of_every_size() -> None:
    plane = texture(128, 128, 0)[..., 1].astype(float)
    energy = abs(np.fft.fft2(plane - plane.mean())) ** 2
    frequency = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128)) * 128
    octaves = [energy[(low <= frequency) & (frequency < 2 * low)].sum() for low in (4, 8, 16, 32)]
    # Twice the frequency, four times the terms, a quarter of the energy of each.
    assert max(octaves) < 2 * min(octaves)


def test_a_panel_is_shown_as_it_is() -> None:
    """About at its own size, and the next chart shows the next one."""
    panels = [sample("stream"), sample("dogs")]
    first, second = (draw_chart(number, panels, 700, 620) for number in (0, 1))
    assert first.shape == (620, 700, 3)
    assert not np.array_equal(first[310:330, 340:360], second[310:330, 340:360])
