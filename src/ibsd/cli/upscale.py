"""`ibsd upscale`: photographs and folders of them through a student."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from ibsd.cli.options import Flag
from ibsd.cli.signals import Ended
from ibsd.types import InputError, counted
from ibsd.weights import default_weights

if TYPE_CHECKING:
    from ibsd.upscaling import FileJob, FileResult, Network
    from ibsd.upscaling.upscaler import TileSize


def upscale(
    *inputs: str,
    output: Annotated[str | None, Parameter(alias="-o")] = None,
    weights: Annotated[Path | None, Parameter(alias="-w")] = None,
    look: float = 0.0,
    scale: Annotated[float | None, Parameter(alias="-s")] = None,
    width: int | None = None,
    height: int | None = None,
    max_side: int | None = None,
    megapixels: float | None = None,
    tile: str = "auto",
    force: Flag = False,
    skip_existing: Flag = False,
    suffix: str = "",
    format: str | None = None,
    quality: int = 95,
    first_frame: Flag = False,
    backend: str = "auto",
    precision: str = "auto",
    device: str = "auto",
    cluster: str | None = None,
    shards: Literal["tar"] | None = None,
    dry_run: Flag = False,
    json: Flag = False,
) -> int:
    """Upscale photographs, or whole folders of them.

    For example:

    $ ibsd upscale photo.jpg -o photo-large.png

    $ ibsd upscale holiday/ -o large/ --weights last.safetensors --suffix _x4

    $ ibsd upscale photo.jpg -o web.jpg --max-side 1600

    The result keeps colour profile, EXIF, XMP, DPI, 16 bits and transparency.

    Existing files stay as they are unless --force is given. Inputs are never overwritten.

    Parameters
    ----------
    inputs:
        Image files, and folders with all their subfolders. With --cluster also patterns, such as
        "photos/**/*.jpg", lists (CSV or Parquet with a column path), and addresses of object
        stores, such as s3://bucket/photos.
    output:
        Folder for the results. For a single image it may be a file, with --cluster an address.
    weights:
        A name from ibsd models, a weight file (.safetensors or a published .pth), or a model of
        ibsd export (.xml, .onnx). By default imdn-safe-x4, or imdn-safe-x3
        or -x2 if --scale is at most that.
    look:
        From 0, true to the photograph, to 1, crisp: the share of imdn-crisp-x4 in the mean of its
        weights and those of imdn-safe-x4.
    scale:
        How many times wider and higher the result is, such as 1.5, 3 or 8. By default the scale of
        the weights. The network runs up to three times, and the result is then shrunk to the size.
    width:
        Width of the result in pixels, instead of --scale. The proportions stay.
    height:
        Height of the result in pixels, instead of --scale.
    max_side:
        Longer side of the result in pixels, instead of --scale.
    megapixels:
        Millions of pixels in the result, instead of --scale.
    tile:
        Tiles in which the photograph is computed: auto, the side of a tile in pixels, or none for
        the whole photograph at once. Larger tiles need more memory.
    force:
        Overwrite results that exist.
    skip_existing:
        Leave out photographs whose result exists.
    suffix:
        Text to add to each name. _x4 makes photo_x4.jpg of photo.jpg.
    format:
        png, jpg, webp, tiff, avif or bmp. By default each file keeps its own.
    quality:
        Quality of jpg, webp and avif, from 1 to 100.
    first_frame:
        Upscale the first picture of animations and of files with several pages. Otherwise they are
        left out.
    backend:
        What runs the network: auto, torch, compiled, openvino or onnx. auto runs an exported model
        with its own runtime. It runs a weight file with torch on CUDA. Without CUDA it takes
        openvino or onnx, whichever is installed, and makes a model once; else it takes torch.
    precision:
        auto, fp32, bf16, fp16 (CUDA) or int8 (a model exported with --int8). auto takes the fastest
        precision that was checked against fp32.
    device:
        Where torch runs: auto, cpu, cuda or cuda:0.
    cluster:
        Upscale on all machines of a Ray cluster: its address, such as 10.0.0.5:6379, or local for
        all cores of this machine. A manifest in the output says what became of each file, and the
        same command goes on where a run stopped. Needs pip install 'ibsd[cluster]'.
    shards:
        With --cluster: tar writes shard-000000.tar and so on, of 256 MiB, as WebDataset reads them.
        --force removes those that are there.
    dry_run:
        With --cluster: upscale a few photographs, keep nothing, and say what all would take.
    json:
        Print what became of each file as JSON.
    """
    if not inputs:
        raise InputError(
            "there is nothing to upscale: name image files or folders, as ibsd upscale --help shows"
        )
    if output is None:
        raise InputError("no output is named: add -o FOLDER, or -o FILE for a single image")
    from ibsd.upscaling.size import Size  # which loads numpy

    size = Size(scale, width, height, max_side, megapixels)
    if weights is None:
        largest = 4 if look or scale is None else scale  # looks are of x4 alone
        weights = default_weights(2 if largest <= 2 else 3 if largest <= 3 else 4)
    tile_px = tile_size(tile)
    if cluster is not None or dry_run or shards:
        from ibsd.cli.upscale_cluster import on_cluster

        return on_cluster(
            cluster,
            dry_run,
            json,
            inputs=inputs,
            output=output,
            weights=weights,
            look=look,
            tile=tile_px,
            size=size,
            suffix=suffix,
            format=format,
            quality=quality,
            first_frame=first_frame,
            force=force,
            skip_existing=skip_existing,
            backend=backend,
            precision=precision,
            device=device,
            shards=shards,
        )
    if any("://" in name for name in (*inputs, output)):
        raise InputError("object stores are read and written by a cluster: add --cluster local")
    from ibsd.cli.upscaled import say_all
    from ibsd.upscaling import check_quality, file_jobs, summary_of_files

    check_quality(quality)
    jobs, passed_over = file_jobs(
        inputs, output, suffix=suffix, format=format, force=force, skip_existing=skip_existing
    )
    runtime = {"backend": backend, "precision": precision, "device": device}
    network = opened(weights, look, runtime, len(jobs), json)
    results = upscale_jobs_in_sight(
        jobs,
        network,
        json,
        tile=tile_px,
        size=size,
        force=force,
        skip_existing=skip_existing,
        quality=quality,
        first_frame=first_frame,
    )
    shown = {"files": [vars(result) for result in results], "passed_over": passed_over}
    failed = any(result.error for result in results)
    return say_all(shown, passed_over, summary_of_files(results), failed, json)


def opened(
    weights: Path, look: float, runtime: dict[str, str], num_files: int, json: bool
) -> Network:
    """The network in its fast form, if there is one. `runtime` are options of `open_network`."""
    from ibsd.cli.terminal import log, status, status_console
    from ibsd.commands.fast_weights import fast_weights
    from ibsd.inference.open import open_network

    sentence = f"opening {weights.stem or weights} for {counted(num_files, 'photograph')}"
    if not (status_console().is_terminal or json):  # a status is shown on terminals only
        log(sentence)
    with status(sentence):
        fast = fast_weights(weights, **runtime, log=log)
        return open_network(fast, look=look, **runtime, log=log)


def upscale_jobs_in_sight(
    jobs: Sequence[FileJob], network: Network, json: bool, **options: Any
) -> list[FileResult]:
    """`upscale_jobs` with bars for files and tiles."""
    from ibsd.cli.terminal import log, progress_bars
    from ibsd.cli.upscaled import say_file
    from ibsd.upscaling import upscale_jobs

    num_done = 0
    with progress_bars() as bars:
        files = bars.add_task("files", total=len(jobs))
        tiles = bars.add_task("this one")

        def on_file(result: FileResult, done: int, total: int) -> None:
            nonlocal num_done
            num_done = done
            bars.update(files, completed=done)
            say_file(result, json)

        def on_tile(done: int, total: int) -> None:
            bars.update(tiles, completed=done, total=total)

        try:
            return upscale_jobs(jobs, network, on_file=on_file, on_tile=on_tile, **options)
        except (Ended, KeyboardInterrupt):
            advice = ": the same command with --skip-existing goes on" if len(jobs) > 1 else ""
            log(f"stopped, {num_done} of {len(jobs)} done{advice}")
            raise


def tile_size(tile: str) -> TileSize:
    """What `upscale_jobs` takes for what was typed."""
    if tile == "auto" or tile == "none" or tile == "whole":
        return tile
    if not tile.isdecimal():
        raise InputError(f"--tile is {tile!r}: choose auto, none, or the side of a tile in pixels")
    return int(tile)
