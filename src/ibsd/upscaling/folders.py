"""Files and folders of photographs through a student. All that can be checked beforehand is checked
before the first pixel is computed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ibsd.images import check_writable, open_photograph, write_photograph
from ibsd.inference.network import Network, TensorFunction, as_network
from ibsd.system import is_disk_full, is_out_of_memory, make_folder
from ibsd.types import InputError, Scale
from ibsd.upscaling.file_jobs import FileJob, file_jobs
from ibsd.upscaling.passes import enlarged
from ibsd.upscaling.size import NETWORK_SIZE, Size
from ibsd.upscaling.strips import TileSize, tiles_for


@dataclass(frozen=True)
class FileResult:
    """What became of one file."""

    source: Path
    target: Path
    error: str | None = None
    """One sentence; None if `target` was written or skipped."""
    note: str | None = None
    """What the format of `target` could not keep of the photograph."""
    skipped: bool = False
    """`target` existed and was left as it was."""
    pixels: int = 0
    """Number of pixels that were written."""


def upscale_files(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    student: TensorFunction | Network,
    *,
    tile: TileSize = "auto",
    scale: Scale | None = None,
    size: Size = NETWORK_SIZE,
    force: bool = False,
    skip_existing: bool = False,
    suffix: str = "",
    format: str | None = None,
    quality: int = 95,
    first_frame: bool = False,
    on_file: Callable[[FileResult, int, int], None] | None = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> list[FileResult]:
    """Upscale image files and folders of them, with their subfolders, which the output mirrors.

    Args:
        inputs: files and folders. In folders, hidden files and files that are not named as an image
            are passed over.
        output: a folder, made if missing; or, for a single input file, the name of the file to
            write.
        student: as in `upscale`.
        tile: as in `upscale`.
        scale: as in `upscale`.
        size: of each result; the network's scale if it asks for nothing. Another size needs
            libvips.
        force: replace existing files. An input file is never replaced.
        skip_existing: pass over files whose result exists, so that a stopped run of a large folder
            can go on.
        suffix: added to each name: with "_x4", a.jpg becomes a_x4.jpg.
        format: png, jpg, webp, tiff, avif or bmp. By default each file keeps its format, and HEIC,
            which has no free encoder, becomes jpg.
        quality: 1 to 100, for jpg, webp and avif.
        first_frame: take the first picture of an animation or of several pages. Otherwise such a
            file is left out.
        on_file: called as on_file(result, done, all) after each file.
        on_tile: called as on_tile(done, all) after each tile of the current file.

    Returns:
        One result a file, sorted by path. A file that cannot be read or written is reported there,
        and the others go on. Each target holds a whole picture or is untouched.

    Raises:
        InputError: before anything is computed: an input is missing or not named as an image, a
            folder holds no images, an output exists (without `force`) or is itself an input, two
            inputs would become one output, the output folder cannot be written to, or tile or scale
            is wrong. Later only when the disk is full, which ends the run.
    """
    jobs = file_jobs(
        inputs, output, suffix=suffix, format=format, force=force, skip_existing=skip_existing
    ).jobs
    return upscale_jobs(
        jobs,
        student,
        tile=tile,
        scale=scale,
        size=size,
        force=force,
        skip_existing=skip_existing,
        quality=quality,
        first_frame=first_frame,
        on_file=on_file,
        on_tile=on_tile,
    )


def upscale_jobs(
    jobs: Sequence[FileJob],
    student: TensorFunction | Network,
    *,
    tile: TileSize = "auto",
    scale: Scale | None = None,
    size: Size = NETWORK_SIZE,
    force: bool = False,
    skip_existing: bool = False,
    quality: int = 95,
    first_frame: bool = False,
    on_file: Callable[[FileResult, int, int], None] | None = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> list[FileResult]:
    """`upscale_files` for the jobs of `file_jobs`, made with the same `force` and `skip_existing`.
    So mistakes in names are found before a network is opened."""
    check_quality(quality)
    results: list[FileResult] = []
    with as_network(student, scale) as network:
        tiles_for(tile, network)
        for folder in sorted({job.target.parent for job in jobs}):
            make_folder(folder)
        for job in jobs:
            if skip_existing and os.path.lexists(job.target):
                result = FileResult(job.source, job.target, skipped=True)
            else:
                try:
                    result = upscale_job(
                        job,
                        network,
                        tile=tile,
                        size=size,
                        quality=quality,
                        force=force,
                        first_frame=first_frame,
                        on_tile=on_tile,
                    )
                except InputError as disk_full:
                    raise InputError(_progress_at(disk_full, results, len(jobs))) from disk_full
            results.append(result)
            if on_file:
                on_file(result, len(results), len(jobs))
    return results


def check_quality(quality: int) -> None:
    """InputError for a quality that no format has."""
    if not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}: choose 1 to 100.")


def summary_of_files(results: Sequence[FileResult]) -> str:
    """How many files were written, and a line for each one that was not."""
    errors = [result.error for result in results if result.error]
    return summary_of_counts(len(results), sum(result.skipped for result in results), errors)


def summary_of_counts(total: int, num_skipped: int, errors: Sequence[str]) -> str:
    """`summary_of_files` where not every result is at hand."""
    counts = [f"{total - len(errors) - num_skipped} of {total} upscaled"]
    if num_skipped:
        counts.append(f"{num_skipped} there already")
    if errors:
        counts.append(f"{len(errors)} left out")
    first_line = ", ".join(counts) + (":" if errors else ".")
    return "\n".join([first_line, *(f"  {error}" for error in errors)])


def upscale_job(
    job: FileJob,
    network: Network,
    *,
    tile: TileSize = "auto",
    size: Size = NETWORK_SIZE,
    quality: int = 95,
    force: bool = False,
    first_frame: bool = False,
    on_tile: Callable[[int, int], None] | None = None,
) -> FileResult:
    """One file, whose folder exists; the arguments are those of `upscale_files`. InputError only if
    the disk is full, because then no later file can be written either."""
    source, target = job
    try:
        photograph = open_photograph(source, first_frame=first_frame)
        original = photograph.header
        count, height, width = size.passes(original.height, original.width, network.scale)
        header = original.resized(height, width)
        note = check_writable(target, header)
        made, strips = enlarged(photograph, network, count, tile, on_tile)
        write_photograph(target, header, strips, rows=made, quality=quality, force=force)
    except InputError as error:
        if is_disk_full(error):
            raise
        return FileResult(source, target, str(error))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return FileResult(
            source,
            target,
            f"{source} needs more memory than there is: "
            "choose a smaller --tile, make it smaller, or raise the limit",
        )
    return FileResult(source, target, note=note and f"{target}: {note}", pixels=height * width)


def _progress_at(disk_full: InputError, results: Sequence[FileResult], total: int) -> str:
    """The error with the number of files done, so that the user can go on once there is space."""
    failed = [f"  {result.error}" for result in results if result.error]
    advice = ", go on with --skip-existing" if total > 1 else ""
    first_line = f"{disk_full}; {len(results) - len(failed)} of {total} are done{advice}"
    return "\n".join([first_line, *failed])
