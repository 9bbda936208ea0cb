"""Laws of a photograph in memory."""

from __future__ import annotations

import numpy as np

from ibsd.images import InMemory, PhotographHeader
from images.oracles import noise


def test_in_memory() -> None:
    pixels = noise(5, 4)
    photograph = InMemory(PhotographHeader(5, 4), pixels)
    assert np.array_equal(np.concatenate([photograph.read(2), photograph.read(3)]), pixels)
