"""PSNR answers for every output, of a broken network too."""

from __future__ import annotations

import numpy as np

from ibsd.inference.parity import certificate_picture, psnr_db


def test_psnr_answers_for_the_output_of_broken_weights() -> None:
    good = certificate_picture(3, 3)
    for bad in (np.nan, np.inf, -np.inf):
        assert psnr_db(np.full_like(good, bad), good) == -np.inf
    infinite = np.full(good.shape, np.inf)
    assert psnr_db(infinite, infinite) == -np.inf  # inf - inf is not a number
    assert psnr_db(np.full(good.shape, 1e300), good) == -np.inf
    assert psnr_db(good, good) == np.inf
