"""XMP packets: what of them still holds for another file of the same photograph."""

from __future__ import annotations

import re

LARGEST_XMP_BYTES = 65_000
"""What fits into one segment of a JPEG."""
_OTHER_IMAGES = re.compile(rb"hdrgm:|GContainer|ns.google.com/photos/1.0/container|xmpGImg:image")
"""Words of packets that point to further images in the file, which results do not have."""
_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)[2-8]")
_SIZE = re.compile(
    rb"\s(?:exif:Pixel[XY]Dimension|tiff:Image(?:Width|Length))\s*=\s*(?:\"\d*\"|'\d*')"
    rb"|<(exif:Pixel[XY]Dimension|tiff:Image(?:Width|Length))>\d*</\1>"
)


def portable_xmp(packet: bytes) -> bytes | None:
    """The packet of an upright photograph, without its size in pixels. None if it is too large, or
    describes other images inside the file, such as a gain map."""
    if _OTHER_IMAGES.search(packet):
        return None
    packet = _SIZE.sub(b"", _ORIENTATION.sub(rb"\g<1>1", packet))
    return packet if len(packet) <= LARGEST_XMP_BYTES else None
