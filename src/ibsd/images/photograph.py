"""A photograph: a header with everything except the pixels, and rows of pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from ibsd.images.exif import with_size
from ibsd.types import Scale


@dataclass(frozen=True)
class PhotographHeader:
    """Everything about an upright photograph except its pixels."""

    height: int
    width: int
    grey: bool = False
    """One colour channel instead of R, G, B."""
    alpha: bool = False
    """The last channel is the opacity. The colours are not premultiplied by it."""
    bits: int = 8
    """8 or 16 bits a channel."""
    icc: bytes | None = None
    """Colour profile, byte for byte as in the file."""
    exif: bytes | None = None
    """Portable EXIF block: without orientation, thumbnail and tags that describe the file read."""
    xmp: bytes | None = None
    """XMP packet, as it holds for an upright photograph of any size (`portable_xmp`)."""
    iptc: bytes | None = None
    """IPTC block of a JPEG, byte for byte."""
    dpi: tuple[float, float] | None = None
    """Dots per inch across and down; None if the file does not say."""

    @property
    def channels(self) -> int:
        """Number of channels, 1 to 4, alpha included."""
        return (1 if self.grey else 3) + self.alpha

    @property
    def dtype(self) -> np.dtype[Any]:
        """uint8 or uint16."""
        return np.dtype(np.uint8 if self.bits == 8 else np.uint16)

    def upscaled(self, scale: Scale) -> PhotographHeader:
        """The header of the upscaled photograph, as `resized`."""
        return self.resized(self.height * scale, self.width * scale)

    def resized(self, height: int, width: int) -> PhotographHeader:
        """The header at another size. EXIF states the new size, if it stated one."""
        exif = self.exif and with_size(self.exif, width, height)
        return replace(self, height=height, width=width, exif=exif)


class Photograph(Protocol):
    """A photograph that is read once, from the top down."""

    @property
    def header(self) -> PhotographHeader: ...

    def read(self, count: int) -> np.ndarray:
        """The next `count` rows, [count, width, channels] of `header.dtype`, upright.

        InputError if the file is damaged there.
        """
        ...


class InMemory:
    """A photograph whose pixels [height, width, channels] of `header.dtype` are in memory."""

    def __init__(self, header: PhotographHeader, pixels: np.ndarray) -> None:
        expected = (header.height, header.width, header.channels)
        assert pixels.shape == expected, f"{pixels.shape} {expected}"
        assert pixels.dtype == header.dtype, f"{pixels.dtype} {header.dtype}"
        self.header = header
        self.pixels = pixels
        self.next_row = 0

    @property
    def rgb(self) -> np.ndarray:
        """Colours [height, width, 3], contiguous. A grey photograph gives three equal channels."""
        if self.header.grey:
            return self.pixels[..., :1].repeat(3, axis=2)
        return np.ascontiguousarray(self.pixels[..., :3])

    @property
    def opacity(self) -> np.ndarray | None:
        """[height, width], largest value opaque, contiguous; None without transparency."""
        return np.ascontiguousarray(self.pixels[..., -1]) if self.header.alpha else None

    def read(self, count: int) -> np.ndarray:
        """As `Photograph.read`."""
        first = self.next_row
        self.next_row += count
        return self.pixels[first : self.next_row]
