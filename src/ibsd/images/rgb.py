"""The one reader and writer of image files, and the way between their bytes and tensors.

Eight bits a channel only: a 16-bit file is refused, because Pillow would cut it to 8 bits without a
word. Every picture is upright after reading (EXIF orientation applied), every write goes to a
temporary file first, and whatever is wrong with a file is said in one `InputError` that names it.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from ibsd.system import is_out_of_memory, write_whole
from ibsd.types import InputError, Scale

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_SUFFIXES: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""Names that count as images, in lower case; the same can be written."""

_WRITERS: dict[str, str] = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip
_LARGEST_SIDE_PX: dict[str, int] = {"JPEG": 65_500, "WEBP": 16_383}
_LARGEST_EXIF = {"JPEG": 65_000}
_READERS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
# What describes the file that was read rather than the photograph: sizes, strips and tiles,
# samples, thumbnails, profiles (carried apart), and the orientation (applied). TIFF keeps them all
# in the block that EXIF uses.
_STRUCTURAL_TAGS = frozenset(
    {
        254,
        255,
        256,
        257,
        258,
        259,
        262,
        266,
        273,
        274,
        277,
        278,
        279,
        284,
        317,
        320,
        322,
        323,
        324,
        325,
        330,
        338,
        339,
        347,
    }
    | {512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 700, 34377, 34675}
)
_STRUCTURAL_EXIF_TAGS = frozenset(
    {0xA002, 0xA003, 0xA005}
)  # width, height, a pointer into the file
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_one_reader_of_headers = threading.Lock()


@dataclass(frozen=True)
class Photo:
    """A photograph in memory, upright."""

    rgb: np.ndarray
    """uint8 [H, W, 3]; a grey photograph has three equal channels; colours are not premultiplied by
    alpha."""
    alpha: np.ndarray | None = None
    """uint8 [H, W], 255 opaque; None where the file has no transparency."""
    grey: bool = False
    """The file has one colour channel, and so has the file that `write_photo` makes."""
    icc: bytes | None = None
    """Colour profile that says what the numbers mean, as found."""
    exif: bytes | None = None
    """EXIF block without orientation and thumbnail."""


def is_image_name(path: str | os.PathLike[str]) -> bool:
    """Whether the name ends as an image does (`IMAGE_SUFFIXES`, any case). Hidden files (`.x.png`,
    macOS's `._x.png`) are not images."""
    path = Path(path)
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def image_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) in pixels of the upright picture, from the header alone: the rest may still
    be broken. InputError as `read_rgb`."""
    with _opened(path) as image:
        width, height = image.size
        turned = image.format != "TIFF" and _orientation(image) in (
            5,
            6,
            7,
            8,
        )  # Pillow gives a TIFF upright itself
    return (width, height) if turned else (height, width)


def read_rgb(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an image as uint8 [H, W, 3], upright; grey and palette become RGB, alpha is dropped.

    InputError when the file is missing, unreadable, no image, truncated, animated, of more than 8
    bits, or larger than Pillow's limit of
    89 million pixels.
    """
    return read_photo(path).rgb


def read_photo(path: str | os.PathLike[str]) -> Photo:
    """Read an image with its alpha, greyness, colour profile and EXIF. InputError as `read_rgb`."""
    with _opened(path) as image:
        return photo_from_image(image, str(path))


def photo_from_image(image: Image.Image, name: str = "the image") -> Photo:
    """The `Photo` in a Pillow image, which is not changed. InputError naming `name` when it cannot
    be decoded or has more than 8 bits."""
    _refuse_deep(image, name)
    try:
        with (
            _quiet() if image.format == "TIFF" else nullcontext()
        ):  # TIFF: looks at its metadata again
            image.load()
        orientation = _orientation(image)
        upright = image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
        icc = image.info.get("icc_profile") or None
        if upright.mode == "CMYK" and icc:
            upright = _cmyk_to_srgb(upright, icc)
        if image.mode in ("CMYK", "LAB"):
            icc = None  # says nothing of the RGB numbers
        grey = upright.mode in ("1", "L", "LA", "La")
        if upright.has_transparency_data:
            rgba = np.array(upright.convert("RGBA"))
            rgb, alpha = np.ascontiguousarray(rgba[..., :3]), np.ascontiguousarray(rgba[..., 3])
        else:
            rgb, alpha = np.array(upright.convert("RGB")), None
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except MemoryError:
        raise
    # Pillow's decoders raise nearly anything (OSError, SyntaxError, struct.error, ...) on a broken
    # file
    except Exception as error:
        if is_out_of_memory(error):
            raise MemoryError(f"{name}: {_reason(error)}") from error
        raise InputError(
            f"{name} is damaged or cut short ({_reason(error)}): replace it or take it out."
        ) from error
    return Photo(rgb, alpha, grey, icc, _portable_exif(image))


def write_rgb(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write uint8 [H, W, 3] in the format that the suffix names, atomically; an existing file is
    replaced. InputError as `write_photo`."""
    write_photo(path, Photo(array), force=True)


def write_photo(
    path: str | os.PathLike[str], photo: Photo, quality: int = 95, force: bool = False
) -> None:
    """Write a photograph in the format that the suffix names, so that `path` either holds all of it
    or is as it was before.

    `quality` (1 to 100) is for JPEG, whose colours are not subsampled, and WebP; the other formats
    are lossless. InputError when the file exists and `force` is False, when the format cannot hold
    the photograph (transparency in JPEG or BMP, too many pixels a side), and when the folder cannot
    be written to.
    """
    path = Path(path)
    form = check_writable_as(path, photo.rgb.shape[0], photo.rgb.shape[1], photo.alpha is not None)
    if not force and os.path.lexists(path):
        raise InputError(f"{path} exists already: choose another name, or force to replace it.")
    options: dict[str, Any] = {
        "JPEG": {"quality": quality, "subsampling": 0},
        "WEBP": {"quality": quality},
    }.get(form, {})  # TIFF stays uncompressed: with compression Pillow cannot write its EXIF
    if photo.icc and form != "BMP":
        options["icc_profile"] = photo.icc
    if photo.exif and form != "BMP" and len(photo.exif) <= _LARGEST_EXIF.get(form, len(photo.exif)):
        options["exif"] = photo.exif
    image = image_from_photo(photo)
    write_whole(path, lambda file: image.save(file, format=form, **options))


def image_from_photo(photo: Photo) -> Image.Image:
    """The Pillow image of a photograph: mode L, LA, RGB or RGBA, with profile and EXIF in its
    `info`."""
    assert (photo.rgb.dtype, photo.rgb.ndim) == (np.uint8, 3), (
        f"{photo.rgb.dtype} {photo.rgb.shape}"
    )
    image = Image.fromarray(np.ascontiguousarray(photo.rgb[..., 0] if photo.grey else photo.rgb))
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(photo.alpha))
    for key, value in (("icc_profile", photo.icc), ("exif", photo.exif)):
        if value:
            image.info[key] = value
    return image


def check_writable_as(
    path: str | os.PathLike[str], height: int, width: int, has_alpha: bool
) -> str:
    """Pillow's name of the format that `path` names, if that format can hold such a photograph;
    InputError if not."""
    path = Path(path)
    form = _WRITERS.get(path.suffix.lower())
    if form is None:
        raise InputError(
            f"{path} does not end in the name of an image format: choose one of {', '.join(IMAGE_SUFFIXES)}."
        )
    if has_alpha and form in ("JPEG", "BMP"):
        raise InputError(
            f"{path} cannot be written, because {form} cannot keep transparency: choose png, webp or tiff."
        )
    if max(height, width) > _LARGEST_SIDE_PX.get(form, 2**31):
        limit = _LARGEST_SIDE_PX[form]
        raise InputError(
            f"{path} cannot be written, because {form} holds at most {limit} pixels a side, not {width}x{height}: choose png."
        )
    if form == "TIFF" and height * width * (4 if has_alpha else 3) > 4_000_000_000:
        raise InputError(
            f"{path} cannot be written, because TIFF holds at most 4 GB, too few for {width}x{height} pixels: choose png."
        )
    return form


def to_tensor(array: np.ndarray) -> Tensor:
    """uint8 [H, W, 3] -> float32 [1, 3, H, W] in [0, 1], on the CPU."""
    import torch

    assert (array.dtype, array.ndim) == (np.uint8, 3), f"{array.dtype} {array.shape}"
    return (
        torch.tensor(np.ascontiguousarray(array))
        .permute(2, 0, 1)
        .unsqueeze(0)
        .contiguous()
        .float()
        .div_(255)
    )


def to_array(tensor: Tensor) -> np.ndarray:
    """[1, 3, H, W] or [3, H, W], about [0, 1] -> uint8 [H, W, 3]: clamped, then rounded (halves to
    even). No gradient."""
    import torch

    if tensor.ndim == 4:
        assert tensor.shape[0] == 1, f"one image at a time, not {tensor.shape[0]}"
        tensor = tensor[0]
    levels = tensor.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 0).cpu().numpy())


def bicubic(tensor: Tensor, scale: Scale) -> Tensor:
    """[N, C, H, W] -> [N, C, sH, sW] by torch's bicubic interpolation (a = -0.75, half-pixel
    centres), not clamped; differentiable."""
    from torch.nn.functional import interpolate

    return interpolate(tensor, scale_factor=scale, mode="bicubic", align_corners=False)


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """The image of a file, its header read; the file is closed after."""
    try:
        # Opened here and not by Pillow, which maps an uncompressed TIFF it opened itself into
        # memory and then turns it wrongly (13.0).
        file = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the name.") from error
    except IsADirectoryError as error:
        raise InputError(
            f"{path} is a folder where an image file is expected: name the file."
        ) from error
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({_reason(error)}): check the name and whether reading is allowed."
        ) from error
    with file:
        yield _header(file, path)


def _header(file: IO[bytes], path: str | os.PathLike[str]) -> Image.Image:
    with _quiet():
        try:
            Image.init()
            image = Image.open(file, formats=_READERS)
            # Most phones write JPEGs with a second picture inside, which Pillow calls MPO: the
            # first one is the photograph.
            frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise _too_large(path) from error
        except UnidentifiedImageError as error:
            known = ", ".join(_READERS)
            raise InputError(
                f"{path} is not an image that can be read ({known}), or is damaged: replace it or take it out."
            ) from error
        except Exception as error:  # as in photo_from_image
            raise InputError(
                f"{path} is damaged or cut short ({_reason(error)}): replace it or take it out."
            ) from error
    if frames > 1:
        raise InputError(
            f"{path} holds {frames} pictures (an animation or several pages): save the one you want as a file of its own."
        )
    return image


def _refuse_deep(image: Image.Image, name: str) -> None:
    """InputError for more than 8 bits a channel, also where Pillow would decode them as 8."""
    deep = image.mode.startswith(("I", "F"))
    tile = getattr(image, "tile", None)
    if image.format == "PNG" and tile:
        deep = deep or ";16" in str(tile[0][3])  # "RGB;16B": Pillow keeps the high bytes only
    if image.format == "TIFF":
        deep = deep or max(_tiff_bits(image)) > 8
    if deep:
        raise InputError(
            f"{name} has more than 8 bits a channel, which would be lost here: use another tool for now, or save it with 8 bits."
        )


def _tiff_bits(image: Image.Image) -> tuple[int, ...]:
    bits = getattr(image, "tag_v2", {}).get(258, 1)
    return bits if isinstance(bits, tuple) else (bits,)


def _cmyk_to_srgb(image: Image.Image, icc: bytes) -> Image.Image:
    """By the profile that came with the picture; one that cannot be used (not a CMYK profile, say)
    is ignored."""
    try:
        source, target = ImageCms.ImageCmsProfile(BytesIO(icc)), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image.convert("RGB")
    assert converted is not None
    return converted


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1 (upright) where the EXIF block is broken, because the picture itself may be
    sound."""
    with _quiet():
        try:
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        except Exception:  # as in photo_from_image
            return 1
    return orientation if isinstance(orientation, int) else 1


def _portable_exif(image: Image.Image) -> bytes | None:
    """The EXIF block fit for another file of the same photograph, upright and of another size; None
    if there is none or it is broken."""
    with _quiet():
        try:
            found, kept = image.getexif(), Image.Exif()
            kept.endian = found.endian  # what a camera's maker hides in there may rely on it
            for tag, value in found.items():
                if tag not in _STRUCTURAL_TAGS and tag not in (
                    ExifTags.IFD.Exif,
                    ExifTags.IFD.GPSInfo,
                ):
                    kept[tag] = value
            for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
                values = {
                    tag: value
                    for tag, value in found.get_ifd(block).items()
                    if tag not in _STRUCTURAL_EXIF_TAGS
                }
                if values:
                    kept[block] = values
            return kept.tobytes() if len(kept) else None
        except Exception:  # as in photo_from_image
            return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's remarks on odd metadata, and with its decompression bomb warning as an
    error."""
    with (
        _one_reader_of_headers,
        warnings.catch_warnings(),
    ):  # the lock, because catch_warnings changes what all threads see
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _too_large(path: str | os.PathLike[str]) -> InputError:
    return InputError(
        f"{path} has more than {Image.MAX_IMAGE_PIXELS or 0:,} pixels, Pillow's limit against bombs: cut it into parts."
    )


def _reason(error: BaseException) -> str:
    """What an exception says, without the path that the sentence around it names already."""
    return (
        error.strerror
        if isinstance(error, OSError) and error.strerror
        else str(error).strip().rstrip(".")
    ) or type(error).__name__
