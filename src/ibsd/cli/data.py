"""`ibsd data`: what each preset makes of a photograph, on one sheet, and shards of photographs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ibsd.cli.options import Flag, Output
from ibsd.system import num_cores, refuse_existing
from ibsd.types import InputError, counted, require, require_scale

if TYPE_CHECKING:
    from ibsd.commands.shard import Sharding

MOST_LINES = 20
"""Photographs that are left out and named."""


def data(
    action: Literal["preview", "shard"],
    source: str,
    /,
    *,
    output: Output = None,
    scale: int = 4,
    crop_px: int = 384,
    crops: int = 8,
    shard_mib: int = 256,
    jobs: int = 0,
    cluster: str | None = None,
    seed: int = 0,
    force: Flag = False,
    json: Flag = False,
) -> None:
    """Look at, or prepare, what is trained on.

    For example:

    $ ibsd data preview photo.jpg -o preview.png

    $ ibsd data shard photos/ -o shards/

    $ ibsd train run.toml data.photographs=shards/

    preview shows what training from photographs does to one of them: a row for each preset, with
    the middle of the photograph as LR at three strengths, and HR beside it.

    shard is for photographs that do not fit into memory. It decodes them once and writes crops of
    them into files, which training reads one after the other. The same command goes on where it
    was stopped, and makes shards that are missing.

    Parameters
    ----------
    action:
        preview or shard.
    source:
        preview: a sharp photograph. shard: a folder of them with its subfolders; with --cluster
        also a pattern, a list or an address, as for ibsd upscale.
    output:
        preview: the sheet. Default: the photograph's name with -preview.png, in the current folder.
        shard: the folder for the shards.
    scale:
        preview: 1 to 4.
    crop_px:
        shard: side of a crop, a multiple of 12. A patch and its margin must fit into it:
        student.scale times (data.patch_px + 8).
    crops:
        shard: most crops of each photograph, at random places that do not overlap.
    shard_mib:
        shard: most MiB of a shard. Training holds two shards in memory.
    jobs:
        shard: threads. 0 takes all cores.
    cluster:
        shard: work on all machines of a Ray cluster: its address, or local. The folder must be
        shared. Needs pip install 'ibsd[cluster]'.
    seed:
        Seed of the degradation, and of the places of crops.
    force:
        Replace the sheet or the shards if they exist.
    json:
        Print what the sheet shows, or what was made, as JSON.
    """
    if action == "preview":
        show_preview(Path(source), output, scale, seed, force, json)
        return
    if output is None:
        raise InputError("no output is named: add -o FOLDER")
    fits = crop_px > 0 and crop_px % 12 == 0
    require("--crop-px", crop_px, fits, "a multiple of 12, so that crops serve every scale")
    require("--crops", crops, crops > 0, "above 0")
    require("--shard-mib", shard_mib, shard_mib > 0, "above 0")
    require("--jobs", jobs, jobs >= 0, "0 or more")
    require("--seed", seed, seed >= 0, "0 or more")
    if cluster is not None:
        from ibsd.cluster import require_ray

        require_ray()
    from ibsd.commands.shard import Sharding

    jobs = jobs or num_cores()
    sharding = Sharding(source, output, crop_px, crops, shard_mib, seed, jobs, cluster, force)
    shard(sharding, json)


def shard(sharding: Sharding, json: bool) -> None:
    """Makes shards, and says what was made."""
    from ibsd.cli.terminal import print_json, print_line, printable, progress_bar
    from ibsd.commands.shard import make_shards

    with progress_bar("shards") as on_shard:
        shards, settings = make_shards(sharding, on_shard)
    left_out = [photograph for made in shards for photograph in made.left_out]
    num_crops = sum(made.crops for made in shards)
    if json:
        counts = {"crops": num_crops, "left_out": left_out}
        print_json({"folder": sharding.output, **settings, **counts})
        return
    for name, reason in left_out[:MOST_LINES]:
        print(printable(f"left out: {name}: {reason}"), file=sys.stderr)
    photographs = counted(settings["photographs"] - len(left_out), "photograph")
    more = f", {len(left_out)} left out" if left_out else ""
    megabytes = sum(made.num_bytes(sharding.crop_px) for made in shards) / 1e6
    print_line(
        f"{sharding.output}: {counted(num_crops, 'crop')} of {photographs} in "
        f"{counted(len(shards), 'shard')}, {megabytes:,.0f} MB{more}"
    )


def show_preview(
    photograph: Path, output: Path | None, scale: int, seed: int, force: bool, json: bool
) -> None:
    """Writes the sheet, and says what it shows."""
    from ibsd.cli.terminal import print_json, print_line
    from ibsd.commands.data import preview

    require_scale("--scale", scale)
    target = output or Path(f"{photograph.stem}-preview.png")
    refuse_existing([target], force)
    shown = preview(photograph, target, scale, seed)
    if json:
        print_json(shown)
    else:
        print_line(f"{target}: rows {', '.join(shown['rows'])}")
