"""Forty files as they come from phones, scanners, broken disks and jokers, each with what is to
become of it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from PIL import Image, ImageCms

from images.oracles import (
    camera_notes,
    chunk,
    noise,
    odd_profile,
    smooth,
    srgb_profile,
    write_png,
)


class Nasty(NamedTuple):
    name: str
    make: Callable[[Path], object]
    sentence: str | None = None
    """Words of the sentence that refuses it; None if it is to come out right."""
    right: Callable[[Path], np.ndarray] | None = None
    """The upright pixels [h, w, c] by other means; colours compared within `tolerance`."""
    tolerance: int = 0


def by_pillow(mode: str) -> Callable[[Path], np.ndarray]:
    def pixels(path: Path) -> np.ndarray:
        with Image.open(path) as image:
            array = np.array(image.convert(mode))
        return array if array.ndim == 3 else array[..., None]

    return pixels


def upright(path: Path) -> np.ndarray:
    from PIL import ImageOps

    with Image.open(path) as image:
        return np.array(ImageOps.exif_transpose(image))


def by_littlecms(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        source = ImageCms.ImageCmsProfile(BytesIO(image.info["icc_profile"]))
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    return np.array(converted)


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    memory = BytesIO()
    image.save(memory, form, **options)
    return memory.getvalue()


def inks() -> tuple[Image.Image, bytes]:
    """A picture in CMYK and its profile."""
    import pyvips

    image = pyvips.Image.new_from_array(70 + smooth(30, 44) // 3, interpretation="srgb").icc_export(
        output_profile="cmyk"
    )  # pyright: ignore
    return Image.fromarray(image.numpy(), "CMYK"), image.get("icc-profile-data")


def bomb_png(width: int, height: int) -> bytes:
    """Claims as many pixels and holds a handful."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"IDAT", zlib.compress(bytes(10_000_000), 9))
        + chunk(b"IEND", b"")
    )


def animated_png() -> bytes:
    return saved(PICTURE, "PNG", save_all=True, append_images=[PICTURE.rotate(180)])


def with_second_page(form: str) -> bytes:
    return saved(PICTURE, form, save_all=True, append_images=[PICTURE.rotate(180)])


def wrong_sums() -> bytes:
    """A PNG with a flipped bit in its pixels."""
    content = bytearray(saved(Image.fromarray(noise(30, 44)), "PNG"))
    content[len(content) // 2] ^= 0x10
    return bytes(content)


PICTURE = Image.fromarray(smooth(30, 44))
JPEG = saved(PICTURE, "JPEG", quality=95)
BROKEN_EXIF = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12\0\x03"
ENDLESS_EXIF = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\0\0\0\0"


def bytes_of(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def turned(orientation: int, suffix: str) -> Nasty:
    def make(path: Path) -> None:
        PICTURE.save(
            path,
            exif=camera_notes(orientation).tobytes(),
            **({"quality": 100, "subsampling": 0} if suffix == "jpg" else {}),
        )

    return Nasty(
        f"turned-{orientation}.{suffix}", make, right=upright, tolerance=8 if suffix == "jpg" else 0
    )


def deep(channels: int, suffix: str) -> Nasty:
    pixels = noise(30, 44, channels, 16)

    def make(path: Path) -> None:
        if suffix == "png":
            write_png(path, pixels)
        else:
            tifffile.imwrite(
                path,
                pixels,
                photometric="rgb",
                extrasamples=["unassalpha"] if channels == 4 else None,
            )

    return Nasty(f"deep-{channels}.{suffix}", make, right=lambda _: pixels)


def cmyk(path: Path) -> None:
    image, profile = inks()
    image.save(path, quality=100, subsampling=0, icc_profile=profile)


def cmyk_with_a_profile_for_rgb(path: Path) -> None:
    inks()[0].save(path, quality=100, subsampling=0, icc_profile=srgb_profile())


NASTY = [
    # not what they seem
    Nasty("empty.jpg", bytes_of(b""), "is empty"),
    Nasty("text.png", bytes_of(b"this is no picture"), "not an image"),
    Nasty("zeros.tif", bytes_of(bytes(5000)), "not an image"),
    Nasty("jpeg-inside.png", bytes_of(JPEG), right=by_pillow("RGB"), tolerance=1),
    Nasty("png-inside.jpg", bytes_of(saved(PICTURE, "PNG")), right=by_pillow("RGB"), tolerance=8),
    Nasty("gif-inside.png", bytes_of(saved(PICTURE, "GIF")), "not an image"),
    Nasty(
        "drawing.png",
        bytes_of(b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
        "not an image",
    ),
    Nasty("nowhere.jpg", lambda path: path.symlink_to("missing"), "does not exist"),
    # damaged
    Nasty(
        "cut.jpg",
        bytes_of(saved(Image.fromarray(noise(30, 44)), "JPEG")[:1500]),
        "damaged or cut short",
    ),
    Nasty(
        "cut.png",
        bytes_of(saved(Image.fromarray(noise(30, 44)), "PNG")[:2000]),
        "damaged or cut short",
    ),
    Nasty(
        "cut.webp",
        bytes_of(saved(Image.fromarray(noise(30, 44)), "WEBP")[:900]),
        "damaged or cut short",
    ),
    Nasty(
        "cut.tif",
        bytes_of(saved(Image.fromarray(noise(30, 44)), "TIFF")[:2000]),
        "damaged or cut short",
    ),
    Nasty("header-only.png", bytes_of(saved(PICTURE, "PNG")[:20]), "damaged or cut short"),
    Nasty("flipped-bit.png", bytes_of(wrong_sums()), "damaged or cut short"),
    Nasty(
        "cut-phone.heic",
        bytes_of(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)),
        "damaged or cut short",
    ),
    # bombs
    Nasty("bomb.png", bytes_of(bomb_png(60_000, 60_000)), "decompression bomb"),
    Nasty("claims.png", bytes_of(bomb_png(2**31 - 1, 2**31 - 1)), "header makes no sense"),
    # many pictures in one
    Nasty("moving.png", bytes_of(animated_png()), "animation"),
    Nasty("moving.webp", bytes_of(with_second_page("WEBP")), "2 pictures"),
    Nasty("pages.tif", bytes_of(with_second_page("TIFF")), "2 pictures"),
    Nasty(
        "phone.jpg",
        bytes_of(saved(PICTURE, "MPO", save_all=True, append_images=[PICTURE])),
        right=by_pillow("RGB"),
        tolerance=8,
    ),
    # sizes
    Nasty("dot.png", lambda path: write_png(path, noise(1, 1)), right=lambda _: noise(1, 1)),
    Nasty(
        "wide.png", lambda path: write_png(path, noise(3, 65_000)), right=lambda _: noise(3, 65_000)
    ),
    Nasty(
        "too-wide.jpg",
        lambda path: Image.new("RGB", (65_000, 2)).save(path),
        "at most 65500 pixels",
    ),
    # depth
    deep(3, "png"),
    deep(4, "tif"),
    Nasty(
        "float.tif",
        lambda path: tifffile.imwrite(path, np.zeros((9, 9), np.float32)),
        "float numbers",
    ),
    # colours
    Nasty("inks.jpg", cmyk, right=by_littlecms, tolerance=9),
    Nasty(
        "inks-wrong-profile.jpg", cmyk_with_a_profile_for_rgb, right=by_pillow("RGB"), tolerance=90
    ),
    Nasty(
        "palette.png",
        lambda path: PICTURE.quantize(9).save(path, transparency=bytes([0, 128])),
        right=by_pillow("RGBA"),
    ),
    Nasty("bilevel.tif", lambda path: PICTURE.convert("1").save(path), right=by_pillow("L")),
    Nasty(
        "odd-profile.png",
        lambda path: PICTURE.save(path, icc_profile=odd_profile()),
        right=by_pillow("RGB"),
    ),
    Nasty(
        "no-profile.jpg",
        lambda path: PICTURE.save(path, quality=95, icc_profile=b"junk"),
        right=by_pillow("RGB"),
        tolerance=8,
    ),
    Nasty(
        "hidden.jpg", bytes_of(saved(PICTURE.convert("RGBA"), "PNG")), "cannot keep transparency"
    ),
    # notes
    Nasty(
        "broken-exif.jpg",
        lambda path: PICTURE.save(path, quality=95, exif=BROKEN_EXIF),
        right=lambda _: smooth(30, 44),
        tolerance=8,
    ),
    Nasty(
        "endless-exif.jpg",
        lambda path: PICTURE.save(path, quality=95, exif=ENDLESS_EXIF),
        right=lambda _: smooth(30, 44),
        tolerance=8,
    ),
    turned(2, "jpg"),
    turned(5, "png"),
    turned(6, "jpg"),
    turned(8, "tif"),
]
