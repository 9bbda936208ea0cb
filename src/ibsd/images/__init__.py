"""Users' photographs as files: rows of pixels in, rows of pixels out, with all that belongs to
them, at any size in bounded memory.

`photograph.py` says what a photograph is, `files.py` opens and writes one with whatever library is
there, `vips_reader.py` and `vips_writer.py` do it through libvips (the extra `upscale`), `exif.py`
and `tiff_exif.py` carry the camera's notes. Pictures of training pairs are no business of this
package: `ibsd.images.rgb` reads those, the same way on every machine.
"""

from ibsd.images.formats import (
    PHOTOGRAPH_SUFFIXES,
    WRITABLE_SUFFIXES,
    check_writable,
    is_photograph_name,
    open_photograph,
    write_photograph,
)
from ibsd.images.photograph import Facts, InMemory, Photograph

__all__ = [
    "PHOTOGRAPH_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "Facts",
    "InMemory",
    "Photograph",
    "check_writable",
    "is_photograph_name",
    "open_photograph",
    "write_photograph",
]
