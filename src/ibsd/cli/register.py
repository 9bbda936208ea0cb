"""`ibsd register`: photographs of the same scenes become pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from ibsd.types import SCALES, InputError

if TYPE_CHECKING:
    from ibsd.commands.register import RegisterResult, SceneRecord


def register(
    hr: Path,
    lr: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    scale: int | None = None,
    match: Literal["auto", "name", "time", "order"] = "auto",
    crop: int = 128,
    crops: int = 0,
    val: float = 0.1,
    test: float = 0.1,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Make pairs of photographs of the same scenes: near and far, or at two focal lengths.

    For example:

    $ ibsd register near/ far/ -o pairs/

    $ ibsd register near/ far/ -o pairs/ --match time --scale 4

    LR keeps its own pixels. HR is moved over them, to a small part of a pixel,
    in LR's colours. What moved, is out of focus, saturated or cannot be aligned
    is left out. Photographs that do not fit are refused with a sentence each.

    The same command goes on where it was stopped. Nothing is overwritten.
    It needs OpenCV: pip install 'ibsd[register]'.

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
    if scale is not None and scale not in SCALES:
        raise InputError(f"--scale is {scale}; it must be 2, 3 or 4")
    from rich.progress import Progress

    from ibsd.cli.terminal import output_console, print_json, status_console
    from ibsd.commands.register import RegisterOptions, register_folders

    options = RegisterOptions(scale, match, crop, crops, val, test)
    console = status_console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task("scenes")

        def on_scene(record: SceneRecord, done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)
            if not json:
                console.print(f"{done} of {total}  {outcome(record)}", markup=False)

        result = register_folders(
            hr, lr, output, options, on_scene, lambda said: console.print(said, markup=False)
        )
    if json:
        print_json(result.as_json())
    else:
        output_console().print(summary(result), markup=False)
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
