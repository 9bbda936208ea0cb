"""`ibsd register`: photographs of the same scenes become pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ibsd.cli.options import Flag, Output
from ibsd.types import InputError, require_scale

if TYPE_CHECKING:
    from ibsd.commands.register import RegisterResult, SceneRecord


def register(
    hr: Path,
    lr: Path,
    /,
    *,
    output: Output = None,
    scale: int | None = None,
    match: Literal["auto", "name", "time", "order"] = "auto",
    crop: int = 128,
    crops: int = 0,
    val: float = 0.1,
    test: float = 0.1,
    json: Flag = False,
) -> int:
    """Make pairs of photographs of the same scenes: near and far, or at two focal lengths.

    For example:

    $ ibsd register near/ far/ -o pairs/

    $ ibsd register near/ far/ -o pairs/ --match time --scale 4

    LR keeps its own pixels. HR is moved over LR, to a small part of a pixel, and takes its colours.
    Left out are parts that moved, are out of focus, are saturated or cannot be aligned. Photographs
    that do not fit are refused, with the reason.

    The same command continues a stopped run. Nothing is overwritten. OpenCV is needed:
    pip install 'ibsd[register]'.

    Parameters
    ----------
    hr:
        Folder of the near photographs, or of those at the long focal length: JPEG, TIFF, or PNG
        with 8 or 16 bits.
    lr:
        Folder of the far photographs, or of those at the short focal length.
    output:
        Folder for the pairs, which ibsd train reads, and for register.html.
    scale:
        2, 3 or 4; by default the one nearest to what the first scenes show.
    match:
        Which photographs belong together: auto, name, time (EXIF) or order.
    crop:
        Side of the crops in LR pixels.
    crops:
        Most crops of a scene, spread over it; 0 for all.
    val:
        Share of the scenes to choose by.
    test:
        Share of the scenes to report.
    json:
        Print what became of each scene as JSON.
    """
    if output is None:
        raise InputError("it is not said where the pairs go: add -o FOLDER")
    if scale is not None:
        require_scale("--scale", scale)
    from ibsd.cli.terminal import log, print_json, print_line, progress_bar
    from ibsd.commands.register import RegisterOptions, register_folders

    options = RegisterOptions(scale, match, crop, crops, val, test)
    with progress_bar("scenes") as on_progress:

        def on_scene(record: SceneRecord, done: int, total: int) -> None:
            on_progress(done, total)
            if not json:
                log(f"{done} of {total}  {outcome(record)}")

        result = register_folders(hr, lr, output, options, on_scene, log)
    if json:
        print_json(result.as_json())
    else:
        print_line(summary(result))
    return 0 if result.num_crops else 2


def outcome(record: SceneRecord) -> str:
    """A line about one scene."""
    if record.refused:
        return f"{record.name}: refused, {record.refused}"
    remark = f"; {record.remark}" if record.remark else ""
    return (
        f"{record.name}: {len(record.crops)} pairs for {record.split}, "
        f"corners known to {record.corner_px:.2f} LR px{remark}"
    )


def summary(result: RegisterResult) -> str:
    """What came out, and what to do with it."""
    good = [scene for scene in result.scenes if not scene.refused]
    counts = [
        f"{split} {sum(len(scene.crops) for scene in good if scene.split == split)}"
        for split in ("train", "val", "test")
    ]
    lines = [
        f"{len(good)} of {len(result.scenes)} scenes registered at x{result.scale}: "
        f"{', '.join(counts)} pairs",
        f"page: {result.output / 'register.html'}",
        f"next: ibsd doctor {result.output} -o checkup",
    ]
    return "\n".join(lines)
