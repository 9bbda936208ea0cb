"""Uploads: the body of a request into a file, and the names of the user's files."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from ibsd.app.limits import ServerLimits

RESULT_FORMATS = ("jpg", "png", "webp", "tiff", "avif")
"""Formats that the user may choose for a result."""
MEDIA_TYPES = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
}
"""{suffix of a result: media type}"""
_RESULT_SUFFIXES = {
    ".jpeg": ".jpg",
    ".tif": ".tiff",
    ".heic": ".jpg",
    ".heif": ".jpg",
    ".bmp": ".png",
}
"""By the suffix of a photograph, if the two differ."""
BUFFER_BYTES = 1_000_000
MAX_NAME_LENGTH = 120


def check_media_type(request: Request) -> None:
    """HTTPException if the request says that its body is no image."""
    header = request.headers.get("content-type", "application/octet-stream")
    media_type = header.split(";")[0].strip().lower()
    if media_type != "application/octet-stream" and not media_type.startswith("image/"):
        raise HTTPException(
            415,
            f"{plain_name(media_type)} is no kind of image: "
            "send the photograph itself as the body of the request",
        )


async def receive(request: Request, path: Path, limits: ServerLimits) -> None:
    """Write the body of a request into a new file. HTTPException if it is too large, too slow or
    empty, breaks off, or cannot be written."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.upload_bytes:
        await _drain(request, limits)
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.upload_seconds):
            num_bytes = await _write_body(request, path, limits)
    except TimeoutError:
        raise HTTPException(
            408,
            "the photograph arrived too slowly or not at all: try again",
            {"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise HTTPException(400, "the upload of the photograph broke off: try again") from None
    except OSError as error:
        raise HTTPException(
            507,
            f"the photograph cannot be stored here ({error.strerror}): "
            "free some space and try again",
        ) from None
    if not num_bytes:
        raise HTTPException(400, "the file is empty: choose another one")


async def _write_body(request: Request, path: Path, limits: ServerLimits) -> int:
    """The number of bytes written."""
    num_bytes = 0
    buffer = bytearray()
    chunks: AsyncIterator[bytes] = request.stream()
    with open(path, "xb") as file:
        while True:
            async with asyncio.timeout(limits.silence_seconds):
                chunk = await anext(chunks, b"")
            if not chunk:
                break
            num_bytes += len(chunk)
            if num_bytes > limits.upload_bytes:
                raise _too_large(limits)
            buffer += chunk
            if len(buffer) >= BUFFER_BYTES:
                await asyncio.to_thread(file.write, bytes(buffer))
                buffer.clear()
        await asyncio.to_thread(file.write, bytes(buffer))
    return num_bytes


async def _drain(request: Request, limits: ServerLimits) -> None:
    """Read a body that is too large for a moment: a browser reads no answer while it sends."""
    bytes_left = 2 * limits.upload_bytes
    try:
        async with asyncio.timeout(limits.silence_seconds):
            async for chunk in request.stream():
                bytes_left -= len(chunk)
                if bytes_left < 0:
                    return
    except (TimeoutError, ClientDisconnect):
        pass


def _too_large(limits: ServerLimits) -> HTTPException:
    return HTTPException(
        413,
        f"the file is larger than {limits.upload_bytes / 1e6:g} MB, the most this server takes: "
        "make it smaller",
    )


def plain_name(name: str) -> str:
    """A name to show and to suggest for saving: the last part of a path, without control characters
    and invisible letters, of limited length."""
    last_part = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    visible = [
        letter
        for letter in last_part
        if letter == " " or unicodedata.category(letter)[0] not in "CZ"
    ]
    shown = "".join(visible).strip(" .")
    stem, dot, suffix = shown.rpartition(".")
    short = f"{stem[: MAX_NAME_LENGTH - 6]}.{suffix[:5]}" if dot else shown[:MAX_NAME_LENGTH]
    return short or "photograph"


def result_suffix(name: str, format: str) -> str:
    """The suffix of a result with its dot: that of `format`, or of the photograph if it is "".
    HTTPException for a format that is not offered."""
    if format:
        if format not in RESULT_FORMATS:
            raise HTTPException(
                400,
                f"the format must be one of {', '.join(RESULT_FORMATS)}, "
                "or nothing for the photograph's own",
            )
        return f".{format}"
    suffix = Path(name).suffix.lower()
    suffix = _RESULT_SUFFIXES.get(suffix, suffix)
    return suffix if suffix in MEDIA_TYPES else ".png"
