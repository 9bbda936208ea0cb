"""Pictures of results: sheets of several images, before and after, and where to look closer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP_PX = 8
LABEL_PX = 26
FONT_PX = 16
PAPER, INK = (251, 250, 247), (28, 31, 35)


class Box(NamedTuple):
    """A part of an image."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: np.ndarray, shrink: int = 1) -> np.ndarray:
        """This part of an image; of one that is `shrink` times smaller, the same part of the
        scene."""
        rows = slice(self.top // shrink, (self.top + self.height) // shrink)
        return image[rows, self.left // shrink : (self.left + self.width) // shrink]


def contact_sheet(rows: Sequence[Sequence[np.ndarray]], labels: Sequence[str]) -> np.ndarray:
    """Rows of images under column labels, each enlarged without smoothing to the size of its row's
    last image.

    Args:
        rows: uint8 [h, w, 3] images; all rows have as many as there are labels.

    Returns: uint8 [H, W, 3].
    """
    cells = [[at_size(image, row[-1].shape[1], row[-1].shape[0]) for image in row] for row in rows]
    cell_width = max(cell.width for row in cells for cell in row) + GAP_PX
    height = LABEL_PX + sum(row[-1].height + GAP_PX for row in cells) - GAP_PX
    sheet = Image.new("RGB", (cell_width * len(labels) - GAP_PX, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(labels):
        draw.text(
            (column * cell_width + 2, LABEL_PX // 2),
            label,
            fill=INK,
            anchor="lm",
            font=ImageFont.load_default(FONT_PX),
        )
    top = LABEL_PX
    for row in cells:
        for column, cell in enumerate(row):
            sheet.paste(cell, (column * cell_width, top))
        top += row[-1].height + GAP_PX
    return np.asarray(sheet)


def before_after(
    before: np.ndarray,
    after: np.ndarray,
    labels: tuple[str, str],
    num_parts: int = 3,
    enlarge: int = 2,
) -> np.ndarray:
    """The left half of one image beside the right half of the other; below, the parts where they
    differ most, side by side and enlarged.

    Args:
        before, after: uint8 [H, W, 3] of one size.

    Returns: uint8, as wide as the images.
    """
    assert before.shape == after.shape, f"{before.shape} {after.shape}"
    height, width = before.shape[:2]
    part_width = ((width - (num_parts - 1) * GAP_PX) // num_parts) // (2 * enlarge)
    boxes = telling_boxes([before, after], part_width * 3 // 2, part_width, num_parts)
    half = width // 2
    halves = Image.fromarray(np.concatenate((before[:, :half], after[:, half:]), axis=1))
    ImageDraw.Draw(halves).line((half, 0, half, height), fill="white", width=3)
    tag(halves, labels[0], (14, height - 14), "lb")
    tag(halves, labels[1], (width - 14, height - 14), "rb")
    cells = [side_by_side(box.of(before), box.of(after), enlarge) for box in boxes]
    if not cells:
        return np.asarray(halves)
    sheet = Image.new("RGB", (width, height + GAP_PX + cells[0].height), PAPER)
    sheet.paste(halves, (0, 0))
    step = (width - cells[0].width) / max(1, len(cells) - 1)
    for number, cell in enumerate(cells):
        sheet.paste(cell, (round(number * step), height + GAP_PX))
    return np.asarray(sheet)


def telling_boxes(
    images: Sequence[np.ndarray], height: int, width: int, count: int, grid: int = 1
) -> list[Box]:
    """Where images of one size differ most from one another: up to `count` parts that do not
    overlap, most different first.

    By the mean over all pairs of images of the absolute difference; nobody picks what looks good.
    Corners lie on multiples of `grid`.
    """
    difference = difference_map(images)
    sums = np.pad(difference.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    windows = (
        sums[height:, width:]
        - sums[:-height, width:]
        - sums[height:, :-width]
        + sums[:-height, :-width]
    )
    windows = windows[::grid, ::grid].copy()
    boxes: list[Box] = []
    while windows.size and len(boxes) < count and windows.max() > -1:
        row, column = np.unravel_index(windows.argmax(), windows.shape)
        boxes.append(Box(int(row) * grid, int(column) * grid, height, width))
        rows = slice(max(0, int(row) - height // grid + 1), int(row) + height // grid)
        windows[rows, max(0, int(column) - width // grid + 1) : int(column) + width // grid] = -1
    return boxes


def difference_map(images: Sequence[np.ndarray]) -> np.ndarray:
    """[H, W]: how far two or more images of one size, uint8 [H, W, 3], lie apart, summed over all
    pairs of them."""
    levels = [image.astype(np.float64).mean(axis=2) for image in images]
    difference = sum(
        abs(one - other) for number, one in enumerate(levels) for other in levels[:number]
    )
    assert isinstance(difference, np.ndarray), "at least two images"
    return difference


def side_by_side(left: np.ndarray, right: np.ndarray, enlarge: int) -> Image.Image:
    """Two images of one size with a thin line between, enlarged without smoothing."""
    joined = np.concatenate((left, right), axis=1)
    picture = at_size(joined, joined.shape[1] * enlarge, joined.shape[0] * enlarge)
    middle = picture.width // 2
    ImageDraw.Draw(picture).line((middle, 0, middle, picture.height), fill="white", width=2)
    return picture


def tag(picture: Image.Image, text: str, corner: tuple[int, int], anchor: str) -> None:
    """Writes a label on a dark rounded ground; `anchor` says which of its corners `corner` is, as
    in Pillow."""
    draw = ImageDraw.Draw(picture, "RGBA")
    font = ImageFont.load_default(FONT_PX)
    x = corner[0] + (12 if anchor[0] == "l" else -12)
    left, top, right, bottom = draw.textbbox((x, corner[1] - 9), text, font=font, anchor=anchor)
    draw.rounded_rectangle(
        (left - 12, top - 8, right + 12, bottom + 8),
        radius=(bottom - top) // 2 + 8,
        fill=(15, 17, 20, 170),
    )
    draw.text((x, corner[1] - 9), text, fill="white", font=font, anchor=anchor)


def at_size(image: np.ndarray, width: int, height: int) -> Image.Image:
    picture = Image.fromarray(image)
    return (
        picture
        if picture.size == (width, height)
        else picture.resize((width, height), Image.Resampling.NEAREST)
    )
