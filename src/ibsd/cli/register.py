"""`ibsd register`: photographs of the same scenes become pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ibsd.cli.options import Flag, Output
from ibsd.cluster import require_ray
from ibsd.types import InputError, counted, require

if TYPE_CHECKING:
    from ibsd.commands.register import RegisterResult, SceneRecord


def register(
    hr: Path | None = None,
    lr: Path | None = None,
    /,
    *,
    output: Output = None,
    chart: Literal["screen", "print"] | None = None,
    chart_size: str | None = None,
    scale: int | None = None,
    match: Literal["auto", "name", "time", "order"] = "auto",
    crop: int = 128,
    crops: int = 0,
    val: float = 0.1,
    test: float = 0.1,
    jobs: int = 0,
    cluster: str | None = None,
    json: Flag = False,
) -> int:
    """Make pairs of photographs of the same scenes: near and far, or at two focal lengths.

    For example:

    $ ibsd register near/ far/ -o pairs/

    $ ibsd register near/ far/ -o pairs/ --match time --scale 4

    $ ibsd register --chart screen -o charts/

    LR keeps its own pixels. HR is moved over LR, to a small part of a pixel, and takes its colours.
    Left out are parts that moved, are out of focus, are saturated or cannot be aligned. Photographs
    that do not fit are refused, with the reason.

    The same command continues a stopped run. Nothing is overwritten. OpenCV is needed:
    pip install 'ibsd[register]'. docs/capture.md says how to take the photographs.

    No scenes at hand? --chart makes charts to photograph from near and from far. Their markers are
    found by themselves, and pairs are cut from the inside only.

    Parameters
    ----------
    hr:
        Folder of the near photographs, or of those at the long focal length: JPEG, TIFF, or PNG
        with 8 or 16 bits. With --chart, a folder of sharp photographs for the charts; by default
        those inside ibsd.
    lr:
        Folder of the far photographs, or of those at the short focal length.
    output:
        Folder for the pairs, which ibsd train reads, and for register.html; or for charts.
    chart:
        Make charts and stop: screen writes images to show full screen, print writes a PDF.
    chart_size:
        Pixels of the screen (1920x1080), or the paper: a4, a3 or letter.
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
    jobs:
        Scenes at a time. 0 takes as many as cores and memory allow.
    cluster:
        Register on all machines of a Ray cluster, each scene on one core: its address, such as
        10.0.0.5:6379, or local. The folders must be shared. Needs pip install 'ibsd[cluster]'.
    json:
        Print what became of each scene as JSON.
    """
    if output is None:
        raise InputError("no output is named: add -o FOLDER")
    if chart:
        return _charts(hr, lr, output, chart, chart_size, json)
    if chart_size:
        raise InputError("--chart-size is for charts: add --chart screen or --chart print")
    if hr is None or lr is None:
        raise InputError(
            "two folders are needed, of near and of far photographs: "
            "ibsd register near/ far/ -o pairs/"
        )
    if scale is not None:
        require("--scale", scale, scale in (2, 3, 4), "2, 3 or 4")
    require("--jobs", jobs, jobs >= 0, "0 or more")
    if cluster is not None:
        require_ray()
    from ibsd.cli.terminal import log, print_json, print_line, progress_bar
    from ibsd.commands.register import RegisterOptions, register_folders

    options = RegisterOptions(scale, match, crop, crops, val, test)
    with progress_bar("scenes") as on_progress:

        def on_scene(record: SceneRecord, done: int, total: int) -> None:
            on_progress(done, total)
            if not json:
                log(f"{done} of {total}  {outcome(record)}")

        result = register_folders(hr, lr, output, options, on_scene, log, cluster, jobs)
    if json:
        print_json(result.as_json())
    else:
        print_line(summary(result))
    return 0 if result.num_crops and not result.num_failed else 2


def _charts(
    photographs: Path | None,
    lr: Path | None,
    output: Path,
    chart: Literal["screen", "print"],
    size: str | None,
    json: bool,
) -> int:
    if lr is not None:
        raise InputError(f"--chart takes at most one folder of photographs: leave out {lr}")
    from ibsd.cli.terminal import print_json, print_line
    from ibsd.commands.charts import write_charts

    files = write_charts(output, chart, size, photographs)
    if json:
        print_json({"charts": [str(file) for file in files]})
        return 0
    how = (
        "Show each full screen, at its own size."
        if chart == "screen"
        else "Print it at 100 %, without fitting it to the page."
    )
    print_line(
        f"{files[0] if len(files) == 1 else output}: {how} Photograph it from near and from far, "
        "all four markers in the picture."
    )
    return 0


def outcome(record: SceneRecord) -> str:
    """A line about one scene."""
    if record.refused:
        return f"{record.name}: refused, {record.refused}"
    remark = f"; {record.remark}" if record.remark else ""
    dropped = ", ".join(f"{number} {why}" for why, number in record.dropped.items())
    why_none = f" ({dropped})" if dropped and not record.crops else ""
    return (
        f"{record.name}: {counted(len(record.crops), 'pair')} for {record.split}{why_none}, "
        f"corners known to {record.corner_px:.2f} LR px{remark}"
    )


def summary(result: RegisterResult) -> str:
    """What came out, and what to do with it."""
    good = [scene for scene in result.scenes if not scene.refused]
    counts = {
        split: sum(len(scene.crops) for scene in good if scene.split == split)
        for split in ("train", "val", "test")
    }
    lines = [
        f"{len(good)} of {len(result.scenes)} scenes registered at x{result.scale}: "
        f"{', '.join(f'{split} {number}' for split, number in counts.items())} pairs",
        f"page: {result.output / 'register.html'}",
    ]
    if result.num_crops and not counts["train"]:
        lines.append(
            "none is for train: add scenes, or repeat with --val 0 --test 0 and a new folder"
        )
    elif result.num_crops:
        lines.append(f"next: ibsd doctor {result.output} -o checkup")
    elif good:
        lines.append(
            "next: a smaller --crop, into a new folder; the page shows what cannot be used"
        )
    return "\n".join(lines)
