"""What a photograph is: facts, and rows of pixels from the top down."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ibsd.images.exif import with_size
from ibsd.types import Scale


@dataclass(frozen=True)
class Facts:
    """All of an upright photograph but its pixels."""

    height: int
    width: int
    grey: bool = False
    """One colour channel instead of R, G, B."""
    alpha: bool = False
    """A last channel holds the opacity; the colours are not premultiplied by it."""
    bits: int = 8
    """8 or 16 bits a channel."""
    icc: bytes | None = None
    """Colour profile that says what the numbers mean, byte for byte as found."""
    exif: bytes | None = None
    """EXIF block without orientation, thumbnail and whatever else described the file that was
    read."""
    dpi: tuple[float, float] | None = None
    """Dots per inch across and down, as far as the file says."""

    @property
    def channels(self) -> int:
        return (1 if self.grey else 3) + self.alpha

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    def upscaled(self, scale: Scale) -> Facts:
        """Those of the result: larger, and its EXIF block says so; same DPI, colours and depth."""
        height, width = self.height * scale, self.width * scale
        return replace(
            self, height=height, width=width, exif=self.exif and with_size(self.exif, width, height)
        )


class Photograph(Protocol):
    """A photograph that is read once, from the top down."""

    @property
    def facts(self) -> Facts: ...

    def read(self, count: int) -> np.ndarray:
        """The next `count` rows, [count, width, channels] of `facts.dtype`, upright. InputError
        where the file turns out to be damaged."""
        ...


class InMemory:
    """A photograph whose pixels [height, width, channels] are in memory."""

    def __init__(self, facts: Facts, pixels: np.ndarray) -> None:
        assert (pixels.shape, pixels.dtype) == (
            (facts.height, facts.width, facts.channels),
            facts.dtype,
        ), f"{pixels.shape} {pixels.dtype}"
        self.facts, self.pixels, self.next_row = facts, pixels, 0

    def read(self, count: int) -> np.ndarray:
        self.next_row += count
        return self.pixels[self.next_row - count : self.next_row]
