"""Charts to photograph from a screen or from paper: sharp photographs in a frame of texture, with
markers at the corners by which a registration finds them. The texture has detail everywhere, so
that the corners of the common part are known well whatever the photographs show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ibsd.registration.markers import GAP, marker_image
from ibsd.types import InputError

Picture = NDArray[np.uint8]
"""[H, W, 3]"""
LEAST_SIDE_PX = 480
_MARKER_SHARE = 0.09
"""Side of a marker, as a share of the chart's shorter side."""
_MARGIN_SHARE = 0.02
_FRAME_SHARE = 0.06


def draw_chart(number: int, panels: Sequence[Picture], width: int, height: int) -> Picture:
    """A chart [height, width, 3] that shows panels of its own choice out of `panels`. Each next
    chart goes on with the next panels, turned once all were shown.

    Errors: InputError for a chart too small for its markers to be found.
    """
    if min(width, height) < LEAST_SIDE_PX:
        raise InputError(
            f"a chart of {width}x{height} pixels is too small: {LEAST_SIDE_PX} a side are needed"
        )
    side, margin, edge = _layout(width, height)
    chart = np.full((height, width, 3), 255, np.uint8)
    places = [
        (margin, margin),
        (margin, width - margin - side),
        (height - margin - side, width - margin - side),
        (height - margin - side, margin),
    ]
    for marker, (top, left) in enumerate(places, start=4 * number):
        chart[top : top + side, left : left + side] = marker_image(marker, side)[..., None]
    inside = chart[edge : height - edge, edge : width - edge]
    inside[:] = texture(inside.shape[0], inside.shape[1], number)
    frame = round(_FRAME_SHARE * min(width, height))
    _fill(inside[frame:-frame, frame:-frame], number, panels)
    return chart


def _layout(width: int, height: int) -> tuple[int, int, int]:
    """(side of a marker, its distance from the edge, distance of the inside from the edge)"""
    side = 6 * max(1, round(_MARKER_SHARE * min(width, height) / 6))  # six squares with its frame
    margin = round(_MARGIN_SHARE * min(width, height))
    return side, margin, margin + side + round(GAP * side)


def _fill(inside: Picture, number: int, panels: Sequence[Picture]) -> None:
    """Panels side by side, each about as large as it is, so that it stays sharp."""
    height, width = inside.shape[:2]
    sizes = np.median([panel.shape[:2] for panel in panels], axis=0)
    rows, columns = (
        max(1, round(total / float(own))) for total, own in zip((height, width), sizes, strict=True)
    )
    for cell in range(rows * columns):
        index = number * rows * columns + cell
        turns, which = divmod(index, len(panels))
        row, column = divmod(cell, columns)
        top, bottom = (place * height // rows for place in (row, row + 1))
        left, right = (place * width // columns for place in (column, column + 1))
        panel = np.rot90(panels[which], turns)
        inside[top:bottom, left:right] = _covering(panel, bottom - top, right - left)


def _covering(panel: Picture, height: int, width: int) -> Picture:
    """The middle of a panel, of a size."""
    import cv2

    factor = max(height / panel.shape[0], width / panel.shape[1])
    part_height, part_width = (round(length / factor) for length in (height, width))
    top = (panel.shape[0] - part_height) // 2
    left = (panel.shape[1] - part_width) // 2
    part = np.ascontiguousarray(panel[top : top + part_height, left : left + part_width])
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(part, (width, height), interpolation=method), np.uint8)


def texture(height: int, width: int, seed: int) -> Picture:
    """Coloured noise whose energy falls with the square of frequency, as that of photographs does:
    detail of every size and direction."""
    draw = np.random.default_rng(seed)
    size = (height, width)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width))
    frequency[0, 0] = np.inf
    planes = [
        np.fft.irfft2(np.fft.rfft2(draw.normal(size=size)) / frequency, size) for _ in range(4)
    ]
    # One part that all colours share, and less of each colour's own.
    mixed = np.stack([planes[0] + 0.5 * own for own in planes[1:]], -1)
    return np.clip(mixed / mixed.std() * 50 + 128, 0, 255).astype(np.uint8)
