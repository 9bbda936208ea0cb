"""Scenes: one picture in all its versions, before and after, and enlarged where the methods differ
most, which nobody picks by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ibsd.reporting import html
from ibsd.reporting.pictures import Box, difference_map, telling_boxes

LR, ORIGINAL = "LR", "HR"
CROP_PX = (72, 96)
"""Height and width of an enlarged part, in HR pixels."""


@dataclass(frozen=True)
class Scene:
    """One picture in all its versions, uint8 [H, W, 3]."""

    name: str
    lr: np.ndarray
    versions: Mapping[str, np.ndarray]
    """Upscaled, by method, all of one size, in the order of the page: bicubic first; the last one
    is what the page is about."""
    original: np.ndarray
    psnr: Mapping[str, float]
    """PSNR-Y in dB by method."""

    @property
    def scale(self) -> int:
        return self.original.shape[0] // self.lr.shape[0]

    @property
    def compared(self) -> list[np.ndarray]:
        """The versions whose differences count: of trained networks where there are two, else
        all."""
        first, *trained = self.versions.values()
        return trained if len(trained) > 1 else [first, *trained]


def telling_parts(
    scenes: Sequence[Scene], count: int, height: int = CROP_PX[0], width: int = CROP_PX[1]
) -> list[tuple[Scene, Box]]:
    """Up to `count` parts where the compared versions differ most, over all scenes, most different
    first; at most two of a scene."""
    found: list[tuple[float, Scene, Box]] = []
    for scene in scenes:
        grid = scene.scale
        box = [
            min(wanted, side) // grid * grid
            for wanted, side in zip((height, width), scene.original.shape[:2], strict=True)
        ]
        difference = difference_map(scene.compared)
        boxes = telling_boxes(scene.compared, box[0], box[1], 2 if len(scenes) > 1 else count, grid)
        found += [(float(each.of(difference).mean()), scene, each) for each in boxes]
    found.sort(key=lambda each: -each[0])
    return [(scene, box) for _, scene, box in found[:count]]


def scenes_section(
    scenes: Sequence[Scene], title: str = "Before and after", about: str = "", count: int = 4
) -> str:
    """A slider of the scene with the most telling part, then parts of all scenes in all versions;
    "" without scenes."""
    parts = telling_parts(scenes, count)
    if not parts:
        return ""
    scene = parts[0][0]
    names = list(scene.versions)
    what = " and ".join(names[1:]) if len(names) > 2 else " and ".join(names)
    choice = f"Scenes and parts are those where {what} differ most, found by the computer and not picked by hand."
    return html.section(
        title,
        scene_slider(scene),
        html.part(
            "Look closer", *(crops(scene, box, named=len(scenes) > 1) for scene, box in parts)
        ),
        about=" ".join(filter(None, (about, choice))),
    )


def scene_slider(scene: Scene, caption: str = "") -> str:
    """The scene, bicubic left and the last method right, and any other version by choice."""
    names = list(scene.versions)
    enlarged = scene.lr.repeat(scene.scale, 0).repeat(scene.scale, 1)
    if not caption:
        levels = ", ".join(f"{name} {scene.psnr[name]:.2f} dB" for name in names)
        caption = f"{scene.name}. Pull the line, or use the arrow keys. PSNR-Y against the original: {levels}."
    return html.slider(
        {LR: enlarged, **scene.versions, ORIGINAL: scene.original}, caption, names[0], names[-1]
    )


def crops(scene: Scene, box: Box, named: bool = False) -> str:
    """One part of the scene in all versions, pixels as squares."""
    parts = {LR: box.of(scene.lr, scene.scale)} | {
        name: box.of(image) for name, image in scene.versions.items()
    }
    parts[ORIGINAL] = box.of(scene.original)
    said = f"{scene.name}, {box.left} px from the left and {box.top} from the top"
    pictures = "".join(
        html.picture(image, name, f"{name}: {said}", enlarged=True) for name, image in parts.items()
    )
    title = html.paragraph(said, "part-name") if named else ""
    narrow = 2 if len(parts) in (2, 4) else 3
    return f'{title}<div class="crops" style="--columns: {min(len(parts), 6)}; --narrow: {narrow}">{pictures}</div>'
