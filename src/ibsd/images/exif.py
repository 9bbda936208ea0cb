"""The camera's notes, fit for another file of the same photograph: upright, of another size,
without the thumbnail."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, TiffImagePlugin
from PIL.ExifTags import IFD, Base

# What describes the file that was read rather than the photograph. TIFF keeps both kinds in one
# block: sizes, strips and tiles, samples, subfiles, predictors, tables of JPEG, XMP, IPTC and
# profiles (carried apart or not at all), and the orientation, which is applied.
_OF_THE_FILE = frozenset(
    {
        254,
        255,
        256,
        257,
        258,
        259,
        262,
        263,
        266,
        273,
        274,
        277,
        278,
        279,
        280,
        281,
        284,
        288,
        289,
        290,
        291,
        297,
        301,
        317,
        318,
        319,
    }
    | {
        320,
        321,
        322,
        323,
        324,
        325,
        330,
        332,
        333,
        334,
        336,
        338,
        339,
        340,
        341,
        342,
        343,
        347,
        512,
        513,
        514,
        515,
        517,
        518,
        519,
    }
    | {520, 521, 529, 530, 531, 532, 559, 700, 33723, 34377, 34675, 37724}
)
_WIDTH, _HEIGHT, _POINTER = 0xA002, 0xA003, 0xA005
_one_at_a_time = threading.RLock()


def portable(found: Image.Exif) -> bytes | None:
    """The block "Exif\\0\\0..." without what described the file; None when nothing is left or the
    block is broken."""
    with _quiet():
        try:
            kept = Image.Exif()
            kept.endian = found.endian  # what a camera's maker hides in there may rely on it
            for tag, value in found.items():
                if tag not in _OF_THE_FILE and tag not in (IFD.Exif, IFD.GPSInfo):
                    kept[tag] = value
            for block in (IFD.Exif, IFD.GPSInfo):
                values = {
                    tag: value
                    for tag, value in found.get_ifd(block).items()
                    if tag not in (_WIDTH, _HEIGHT, _POINTER)
                }
                if values:
                    kept[block] = values
            return kept.tobytes() if len(kept) else None
        except (
            Exception
        ):  # Pillow raises nearly anything on a broken block, and the picture may be sound
            return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's remarks on odd blocks; one thread at a time, because the filters of warnings
    are everybody's."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parsed(block: bytes) -> Image.Exif:
    """A block with or without its "Exif\\0\\0". What is broken in it shows only when it is looked
    at."""
    exif = Image.Exif()
    with _quiet():
        exif.load(block)
    return exif


def portable_block(block: bytes) -> bytes | None:
    """As `portable`, of a block as files hold it."""
    try:
        return portable(parsed(block))
    except Exception:  # as in portable
        return None


def portable_tiff(path: Path) -> bytes | None:
    """As `portable`, of a TIFF file, of which only the header is read."""
    try:
        with open(path, "rb") as file, _quiet():
            return portable(TiffImagePlugin.TiffImageFile(file).getexif())
    except Exception:  # as in portable
        return None


def with_size(block: bytes, width: int, height: int) -> bytes:
    """A portable block that says how large the photograph is, if it says anything of how it was
    taken."""
    exif = parsed(block)
    taken = exif.get_ifd(IFD.Exif)
    if not taken:
        return block
    taken[_WIDTH], taken[_HEIGHT] = width, height
    return exif.tobytes()


def dpi_of(block: bytes | None) -> tuple[float, float] | None:
    """The resolution that a portable block tells, in dots per inch."""
    if block is None:
        return None
    try:
        exif = parsed(block)
        unit = {2: 1.0, 3: 2.54}.get(exif.get(Base.ResolutionUnit, 2))
        across, down = float(exif[Base.XResolution]), float(exif[Base.YResolution])
    except Exception:  # missing, or as in portable
        return None
    return (across * unit, down * unit) if unit and across > 0 and down > 0 else None
