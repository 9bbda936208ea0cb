"""Pixels of HEIC, which pi-heif decodes where libvips has no decoder: its wheel has none."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from ibsd.images.errors import damaged, reason_of
from ibsd.images.photograph import InMemory, PhotographHeader
from ibsd.system import is_out_of_memory


class HeicPhotograph:
    """A `Photograph` whose header libvips has read. The first `read` decodes it whole."""

    def __init__(self, path: Path, header: PhotographHeader) -> None:
        self.path = path
        self.header = header

    def read(self, count: int) -> np.ndarray:
        """As `Photograph.read`."""
        return self._decoded.read(count)

    @cached_property
    def _decoded(self) -> InMemory:
        import pi_heif  # pyright: ignore[reportMissingTypeStubs]

        shape = (self.header.height, self.header.width, self.header.channels)
        try:
            # More than 8 bits are shifted up to 16, as libvips does.
            file = pi_heif.open_heif(self.path, convert_hdr_to_8bit=False)
            pixels = np.array(file)  # a copy: the memory of the file is freed with it
            if pixels.ndim == 2:  # grey, of which libvips makes RGB
                pixels = pixels[..., None].repeat(3, axis=2)
            if pixels.shape != shape or pixels.dtype != self.header.dtype:
                raise ValueError("its header and its pixels do not agree")
        except MemoryError:
            raise
        except Exception as error:  # what libheif reports comes as exceptions of several kinds
            if is_out_of_memory(error):
                raise MemoryError(f"{self.path}: {reason_of(error)}") from error
            raise damaged(self.path, reason_of(error)) from error
        return InMemory(self.header, pixels)
