"""Files and folders of photographs through a student. All that can be checked beforehand is checked
before the first pixel is computed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ibsd.images import (
    PHOTOGRAPH_SUFFIXES,
    WRITABLE_SUFFIXES,
    check_writable,
    is_photograph_name,
    open_photograph,
    write_photograph,
)
from ibsd.images.formats import format_to_write
from ibsd.inference.network import Network, TensorFunction, as_network
from ibsd.system import is_disk_full, is_out_of_memory, make_folder
from ibsd.types import InputError, Scale
from ibsd.upscaling.strips import TileSize, tiles_for, upscaled_strips

_OTHER_IMAGES = (
    *(".gif", ".jfif", ".jpe", ".jp2", ".jxl", ".jls", ".psd", ".svg", ".pdf", ".ico", ".tga"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".exr", ".hdr", ".dng", ".raw", ".cr2", ".nef", ".arw"),
)
"""Suffixes of images that cannot be written. Nobody means a folder by them."""


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


class _Job(NamedTuple):
    source: Path
    target: Path


def upscale_files(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    student: TensorFunction | Network,
    *,
    tile: TileSize = "auto",
    scale: Scale | None = None,
    force: bool = False,
    skip_existing: bool = False,
    suffix: str = "",
    format: str | None = None,
    quality: int = 95,
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
        force: replace existing files. An input file is never replaced.
        skip_existing: pass over files whose result exists, so that a stopped run of a large folder
            can go on.
        suffix: added to each name: with "_x4", a.jpg becomes a_x4.jpg.
        format: png, jpg, webp, tiff, avif or bmp. By default each file keeps its format, and HEIC,
            which has no free encoder, becomes jpg.
        quality: 1 to 100, for jpg, webp and avif.
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
    if not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}: choose 1 to 100.")
    if force and skip_existing:
        raise InputError(
            "force replaces what exists and skip_existing keeps it: choose one of them."
        )
    results: list[FileResult] = []
    with as_network(student, scale) as network:
        tiles_for(tile, network)
        jobs = _jobs([Path(path) for path in inputs], Path(output), suffix, format)
        if skip_existing:
            jobs = _without_results(jobs)
        _check_targets(jobs, may_exist=force or skip_existing)
        for folder in sorted({job.target.parent for job in jobs}):
            make_folder(folder)
        for job in jobs:
            if skip_existing and os.path.lexists(job.target):
                result = FileResult(job.source, job.target, skipped=True)
            else:
                try:
                    result = _upscale_file(job, network, tile, quality, force, on_tile)
                except InputError as disk_full:
                    raise InputError(_progress_at(disk_full, results, len(jobs))) from disk_full
            results.append(result)
            if on_file:
                on_file(result, len(results), len(jobs))
    return results


def summary_of_files(results: Sequence[FileResult]) -> str:
    """How many files were written, and a line for each one that was not."""
    failed = [result for result in results if result.error]
    num_skipped = sum(result.skipped for result in results)
    counts = [f"{len(results) - len(failed) - num_skipped} of {len(results)} upscaled"]
    if num_skipped:
        counts.append(f"{num_skipped} there already")
    if failed:
        counts.append(f"{len(failed)} left out")
    first_line = ", ".join(counts) + (":" if failed else ".")
    return "\n".join([first_line, *(f"  {result.error}" for result in failed)])


def _upscale_file(
    job: _Job,
    network: Network,
    tile: TileSize,
    quality: int,
    force: bool,
    on_tile: Callable[[int, int], None] | None,
) -> FileResult:
    """InputError only if the disk is full, because then no later file can be written either."""
    source, target = job
    try:
        photograph = open_photograph(source)
        header = photograph.header.upscaled(network.scale)
        note = check_writable(target, header)
        strips = upscaled_strips(photograph, network, tile, on_tile)
        write_photograph(target, header, strips, quality=quality, force=force)
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
    return FileResult(source, target, note=note and f"{target}: {note}")


def _progress_at(disk_full: InputError, results: Sequence[FileResult], total: int) -> str:
    """The error with the number of files done, so that the user can go on once there is space."""
    failed = [f"  {result.error}" for result in results if result.error]
    advice = ", go on with --skip-existing" if total > 1 else ""
    first_line = f"{disk_full}; {len(results) - len(failed)} of {total} are done{advice}"
    return "\n".join([first_line, *failed])


def _jobs(inputs: list[Path], output: Path, suffix: str, format: str | None) -> list[_Job]:
    """Every file to upscale, sorted; each source once for each target."""
    if not inputs:
        raise InputError("there is nothing to upscale: name files or folders.")
    ending = None if format is None else f".{format.lower().lstrip('.')}"
    if ending is not None and ending not in WRITABLE_SUFFIXES:
        names = ", ".join(name[1:] for name in WRITABLE_SUFFIXES)
        raise InputError(f"format is {format!r}: choose one of {names}.")
    if os.sep in suffix or "/" in suffix:
        raise InputError(
            f"suffix is {suffix!r}: leave out the slash, it is put behind each file's name."
        )
    for path in inputs:
        # Path.exists would raise where looking is forbidden.
        if not os.path.exists(path):
            raise InputError(f"{path} does not exist: check the name.")
    is_photograph = output.suffix.lower() in PHOTOGRAPH_SUFFIXES
    if (is_photograph or output.suffix.lower() in _OTHER_IMAGES) and not output.is_dir():
        if not is_photograph:
            format_to_write(output)  # refuses it
        return [_single_job(inputs, output, renamed=bool(suffix or format))]
    jobs: set[_Job] = set()
    for path in inputs:
        if path.is_dir():
            names = {file: file.relative_to(path) for file in _images_below(path, output)}
        else:
            names = {_checked_image_name(path): Path(path.name)}
        for file, name in names.items():
            target_name = f"{name.stem}{suffix}{ending or _default_ending(name)}"
            jobs.add(_Job(file, output / name.with_name(target_name)))
    return sorted(jobs)


def _without_results(jobs: list[_Job]) -> list[_Job]:
    """Without the jobs whose source is another job's result, of an earlier run into the same
    folder."""
    targets = {_identity(job.target): job.source for job in jobs}
    return [job for job in jobs if targets.get(_identity(job.source), job.source) == job.source]


def _single_job(inputs: list[Path], output: Path, renamed: bool) -> _Job:
    """For an output that is the name of one file."""
    if len(inputs) > 1 or inputs[0].is_dir():
        raise InputError(f"{output} is the name of one file, but more may come out: name a folder.")
    if renamed:
        raise InputError(
            f"{output} is the whole name of the output: "
            "leave out suffix and format, or name a folder."
        )
    return _Job(_checked_image_name(inputs[0]), output)


def _default_ending(name: Path) -> str:
    return name.suffix if name.suffix.lower() in WRITABLE_SUFFIXES else ".jpg"


def _checked_image_name(path: Path) -> Path:
    if path.suffix.lower() not in PHOTOGRAPH_SUFFIXES:
        raise InputError(
            f"{path} is not named as an image ({', '.join(PHOTOGRAPH_SUFFIXES)}): "
            "convert it, or leave it out."
        )
    return path


def _images_below(folder: Path, output: Path) -> list[Path]:
    """Image files in a folder and its subfolders, without hidden ones, and without the output of an
    earlier run if it lies inside."""

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename} cannot be read ({error.strerror}): "
            "allow reading it, or leave it out."
        ) from error

    output_folder = output.resolve()
    images: list[Path] = []
    for parent, subfolders, names in os.walk(folder, onerror=refuse):
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".") and (Path(parent) / name).resolve() != output_folder
        ]
        images += [Path(parent) / name for name in names if is_photograph_name(name)]
    if not images:
        raise InputError(
            f"{folder} holds no images ({', '.join(PHOTOGRAPH_SUFFIXES)}): name another folder."
        )
    return images


def _check_targets(jobs: list[_Job], *, may_exist: bool) -> None:
    sources = {_identity(job.source) for job in jobs}
    source_of: dict[Path, Path] = {}
    for source, target in jobs:
        other = source_of.setdefault(target, source)
        if _identity(other) != _identity(source):
            raise InputError(
                f"{other} and {source} would both become {target}: "
                "upscale them one after the other into different folders."
            )
        if _identity(target) in sources:
            raise InputError(
                f"{target} is itself an input and is never replaced: "
                "choose another folder or a suffix."
            )
        if os.path.isdir(target):
            raise InputError(
                f"{target} is a folder where a file is to be written: choose another output."
            )
    existing = [job.target for job in jobs if os.path.lexists(job.target)]
    if existing and not may_exist:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise InputError(
            f"{existing[0]}{more} exists already: choose another output, or --force to replace it."
        )


def _identity(path: Path) -> tuple[int, int] | Path:
    """Equal for two names of one file."""
    try:
        status = path.stat()
    except OSError:  # missing, or a link to nowhere
        return path.absolute()
    return status.st_dev, status.st_ino
