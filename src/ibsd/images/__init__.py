"""Image files: the one reader and the one writer, for training images and for photographs.

- `rgb.py`: 8-bit RGB for training and evaluation, read by Pillow, the same on every machine.
- `files.py`: users' photographs of any size, depth and colour, in bounded memory through libvips
  (the extra `upscale`), or through Pillow.
- `formats.py`: the table of formats. `photograph.py`: header and rows of a photograph.
- `pillow_reader.py`, `pillow_writer.py`, `vips_reader.py`, `vips_writer.py`: the two libraries.
  `heic.py`: pixels that libvips's wheel cannot decode.
- `exif.py`, `tiff_exif.py`: metadata of the camera. `xmp.py`: metadata of programs.

Nothing here imports torch before a tensor is asked for.
"""

from ibsd.images.files import open_photograph, to_eight_bits, write_photograph
from ibsd.images.formats import (
    IMAGE_SUFFIXES,
    PHOTOGRAPH_SUFFIXES,
    WRITABLE_SUFFIXES,
    check_writable,
    is_image_name,
    is_photograph_name,
)
from ibsd.images.photograph import InMemory, Photograph, PhotographHeader
from ibsd.images.pillow_reader import image_size, photograph_from_pillow, read_with_pillow
from ibsd.images.pillow_writer import pillow_image
from ibsd.images.rgb import bicubic, read_rgb, to_array, to_tensor, write_rgb

__all__ = [
    "IMAGE_SUFFIXES",
    "PHOTOGRAPH_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "InMemory",
    "Photograph",
    "PhotographHeader",
    "bicubic",
    "check_writable",
    "image_size",
    "is_image_name",
    "is_photograph_name",
    "open_photograph",
    "photograph_from_pillow",
    "pillow_image",
    "read_rgb",
    "read_with_pillow",
    "to_array",
    "to_eight_bits",
    "to_tensor",
    "write_photograph",
    "write_rgb",
]
