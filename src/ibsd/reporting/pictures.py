"""Pictures of results: sheets of several images, before and after, and scenes of a page, enlarged
where the methods differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from ibsd.reporting import html
from ibsd.reporting.html import Pixels

Value = TypeVar("Value", bound=np.generic)

GAP_PX = 8
LABEL_PX = 26
FONT_PX = 16
CROP_PX = (72, 96)
"""Height and width of an enlarged part, in HR pixels."""
LR = "LR"
ORIGINAL = "HR"
PAPER = (251, 250, 247)
INK = (28, 31, 35)


class Box(NamedTuple):
    """A part of an image."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: NDArray[Value], shrink: int = 1) -> NDArray[Value]:
        """This part of an image; of one that is `shrink` times smaller, the same part of the
        scene."""
        rows = slice(self.top // shrink, (self.top + self.height) // shrink)
        return image[rows, self.left // shrink : (self.left + self.width) // shrink]


def contact_sheet(rows: Sequence[Sequence[Pixels]], labels: Sequence[str]) -> Pixels:
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
    font = ImageFont.load_default(FONT_PX)
    for column, label in enumerate(labels):
        place = (column * cell_width + 2, LABEL_PX // 2)
        draw.text(place, label, fill=INK, anchor="lm", font=font)
    top = LABEL_PX
    for row in cells:
        for column, cell in enumerate(row):
            sheet.paste(cell, (column * cell_width, top))
        top += row[-1].height + GAP_PX
    return np.asarray(sheet)


def before_after(before: Pixels, after: Pixels, labels: tuple[str, str]) -> Pixels:
    """The left half of one image beside the right half of the other; below, the three parts where
    they differ most, side by side and enlarged twice.

    Args:
        before, after: uint8 [H, W, 3] of one size.

    Returns: uint8, as wide as the images.
    """
    assert before.shape == after.shape, f"{before.shape} {after.shape}"
    height, width = before.shape[:2]
    part_width = ((width - 2 * GAP_PX) // 3) // 4
    boxes = telling_boxes([before, after], part_width * 3 // 2, part_width, 3)
    half = width // 2
    halves = Image.fromarray(np.concatenate((before[:, :half], after[:, half:]), axis=1))
    ImageDraw.Draw(halves).line((half, 0, half, height), fill="white", width=3)
    tag(halves, labels[0], (14, height - 14), "lb")
    tag(halves, labels[1], (width - 14, height - 14), "rb")
    cells = [side_by_side(box.of(before), box.of(after), 2) for box in boxes]
    if not cells:
        return np.asarray(halves)
    sheet = Image.new("RGB", (width, height + GAP_PX + cells[0].height), PAPER)
    sheet.paste(halves, (0, 0))
    step = (width - cells[0].width) / max(1, len(cells) - 1)
    for number, cell in enumerate(cells):
        sheet.paste(cell, (round(number * step), height + GAP_PX))
    return np.asarray(sheet)


def telling_boxes(
    images: Sequence[Pixels], height: int, width: int, count: int, grid: int = 1
) -> list[Box]:
    """Where images of one size differ most from one another: up to `count` parts that do not
    overlap, most different first.

    By the mean over all pairs of images of the absolute difference; nobody picks what looks good.
    Corners lie on multiples of `grid`.
    """
    difference = difference_map(images)
    sums = np.pad(difference.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    below = sums[height:, width:] - sums[:-height, width:]
    windows = below - sums[height:, :-width] + sums[:-height, :-width]
    windows = windows[::grid, ::grid].copy()
    boxes: list[Box] = []
    while windows.size and len(boxes) < count and windows.max() > -1:
        row, column = np.unravel_index(windows.argmax(), windows.shape)
        boxes.append(Box(int(row) * grid, int(column) * grid, height, width))
        rows = slice(max(0, int(row) - height // grid + 1), int(row) + height // grid)
        windows[rows, max(0, int(column) - width // grid + 1) : int(column) + width // grid] = -1
    return boxes


def difference_map(images: Sequence[Pixels]) -> NDArray[np.float64]:
    """[H, W]: how far two or more images of one size, uint8 [H, W, 3], lie apart, summed over all
    pairs of them."""
    assert len(images) > 1, "at least two images"
    levels = [image.astype(np.float64).mean(axis=2) for image in images]
    difference = np.zeros(levels[0].shape)
    for number, level in enumerate(levels):
        for other in levels[:number]:
            difference = difference + abs(level - other)
    return difference


def side_by_side(left: Pixels, right: Pixels, enlarge: int) -> Image.Image:
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
    ground = (left - 12, top - 8, right + 12, bottom + 8)
    draw.rounded_rectangle(ground, radius=(bottom - top) // 2 + 8, fill=(15, 17, 20, 170))
    draw.text((x, corner[1] - 9), text, fill="white", font=font, anchor=anchor)


def at_size(image: Pixels, width: int, height: int) -> Image.Image:
    picture = Image.fromarray(image)
    if picture.size == (width, height):
        return picture
    return picture.resize((width, height), Image.Resampling.NEAREST)


@dataclass(frozen=True)
class Scene:
    """One picture in all its versions, uint8 [H, W, 3]."""

    name: str
    lr: Pixels
    versions: Mapping[str, Pixels]
    """Upscaled, by method, all of one size, in the order of the page: bicubic first; the last one
    is what the page is about."""
    original: Pixels
    psnr: Mapping[str, float]
    """PSNR-Y in dB by method."""

    @property
    def scale(self) -> int:
        return self.original.shape[0] // self.lr.shape[0]

    @property
    def compared(self) -> list[Pixels]:
        """The versions whose differences count: of trained networks where there are two, else
        all."""
        first, *trained = self.versions.values()
        return trained if len(trained) > 1 else [first, *trained]


def telling_parts(
    scenes: Sequence[Scene], count: int, height: int = CROP_PX[0], width: int = CROP_PX[1]
) -> list[tuple[Scene, Box]]:
    """Up to `count` parts where the compared versions differ most, over all scenes, most different
    first; at most two of a scene."""
    candidates: list[tuple[float, Scene, Box]] = []
    for scene in scenes:
        grid = scene.scale
        rows, columns = (
            min(wanted, side) // grid * grid
            for wanted, side in zip((height, width), scene.original.shape[:2], strict=True)
        )
        difference = difference_map(scene.compared)
        most = 2 if len(scenes) > 1 else count
        for box in telling_boxes(scene.compared, rows, columns, most, grid):
            candidates.append((float(box.of(difference).mean()), scene, box))
    candidates.sort(key=lambda candidate: -candidate[0])
    return [(scene, box) for _, scene, box in candidates[:count]]


def scenes_section(scenes: Sequence[Scene], about: str = "") -> str:
    """A slider of the scene with the most telling part, then four parts of all scenes in all
    versions; "" without scenes."""
    parts = telling_parts(scenes, 4)
    if not parts:
        return ""
    scene = parts[0][0]
    names = list(scene.versions)
    methods = " and ".join(names[1:] if len(names) > 2 else names)
    choice = f"The program chose the scenes and parts where {methods} differ most."
    closer = [enlarged_parts(scene, box, named=len(scenes) > 1) for scene, box in parts]
    return html.section(
        "Before and after",
        scene_slider(scene),
        html.part("Look closer", *closer),
        about=f"{about} {choice}".strip(),
    )


def scene_slider(scene: Scene, caption: str = "") -> str:
    """The scene, bicubic left and the last method right, and any other version by choice."""
    names = list(scene.versions)
    enlarged = scene.lr.repeat(scene.scale, 0).repeat(scene.scale, 1)
    if not caption:
        scores = ", ".join(f"{name} {scene.psnr[name]:.2f} dB" for name in names)
        caption = f"{scene.name}. Pull the line, or use the arrow keys. PSNR-Y: {scores}."
    images = {LR: enlarged, **scene.versions, ORIGINAL: scene.original}
    return html.slider(images, caption, names[0], names[-1])


def enlarged_parts(scene: Scene, box: Box, named: bool = False) -> str:
    """One part of the scene in all versions, pixels as squares."""
    parts = {LR: box.of(scene.lr, scene.scale)}
    parts |= {name: box.of(image) for name, image in scene.versions.items()}
    parts[ORIGINAL] = box.of(scene.original)
    place = f"{scene.name}, {box.left} px from the left and {box.top} from the top"
    figures = "".join(
        html.figure(image, name, f"{name}: {place}", enlarged=True) for name, image in parts.items()
    )
    title = html.paragraph(place, "part-name") if named else ""
    narrow = 2 if len(parts) in (2, 4) else 3
    columns = f"--columns: {min(len(parts), 6)}; --narrow: {narrow}"
    return f'{title}<div class="crops" style="{columns}">{figures}</div>'
