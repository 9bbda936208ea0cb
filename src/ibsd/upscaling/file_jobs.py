"""Which files become which, and every refusal that needs no network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ibsd.images import PHOTOGRAPH_SUFFIXES, WRITABLE_SUFFIXES, is_photograph_name
from ibsd.types import InputError

_OTHER_IMAGES = (
    *(".gif", ".jfif", ".jpe", ".jp2", ".jxl", ".jls", ".psd", ".svg", ".pdf", ".ico", ".tga"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".exr", ".hdr", ".dng", ".raw", ".cr2", ".nef", ".arw"),
)
"""Suffixes of images that cannot be written. Nobody means a folder by them."""


class FileJob(NamedTuple):
    """A file to upscale, and the file that it becomes."""

    source: Path
    target: Path


class FileJobs(NamedTuple):
    """What is to be done."""

    jobs: list[FileJob]
    """Sorted; each source once for each target."""
    passed_over: list[Path]
    """Files in the folders that are not named as an image, hidden ones left out."""


def file_jobs(
    inputs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    suffix: str = "",
    format: str | None = None,
    force: bool = False,
    skip_existing: bool = False,
) -> FileJobs:
    """The jobs of `upscale_files`, whose arguments these are. Nothing is written or decoded.

    For a single file an output with a suffix is a file, unless it is a folder or ends with a slash.

    Errors: InputError for inputs and outputs as in `upscale_files`.
    """
    if force and skip_existing:
        raise InputError(
            "force replaces what exists and skip_existing keeps it: choose one of them."
        )
    passed_over: list[Path] = []
    paths = [Path(path) for path in inputs]
    is_folder = os.path.isdir(output) or os.fspath(output).endswith(("/", os.sep))
    jobs = _jobs(paths, Path(output), is_folder, suffix, format, passed_over)
    if skip_existing:
        jobs = _without_results(jobs)
    _check_targets(jobs, may_exist=force or skip_existing)
    return FileJobs(jobs, sorted(set(passed_over)))


def _jobs(
    inputs: list[Path],
    output: Path,
    is_folder: bool,
    suffix: str,
    format: str | None,
    passed_over: list[Path],
) -> list[FileJob]:
    """Every file to upscale, sorted; each source once for each target."""
    if not inputs:
        raise InputError("there is nothing to upscale: name files or folders.")
    ending = checked_ending(suffix, format)
    for path in inputs:
        # Path.exists would raise where looking is forbidden.
        if not os.path.exists(path):
            raise InputError(f"{path} does not exist: check the name.")
    is_image = output.suffix.lower() in (*PHOTOGRAPH_SUFFIXES, *_OTHER_IMAGES)
    is_only = len(inputs) == 1 and not inputs[0].is_dir()
    if not is_folder and (is_image or (is_only and output.suffix)):
        if output.suffix.lower() not in PHOTOGRAPH_SUFFIXES:
            raise InputError(
                f"{output} does not end in the name of an image format: choose one of "
                f"{', '.join(WRITABLE_SUFFIXES)}, or end the name of a folder with a slash."
            )
        return [_single_job(inputs, output, renamed=bool(suffix or format))]
    jobs: set[FileJob] = set()
    for path in inputs:
        if path.is_dir():
            names = {
                file: file.relative_to(path) for file in images_below(path, output, passed_over)
            }
        else:
            names = {checked_image_name(path): Path(path.name)}
        for file, name in names.items():
            jobs.add(FileJob(file, output / target_name(str(name), suffix, ending)))
    return sorted(jobs)


def checked_ending(suffix: str, format: str | None) -> str | None:
    """The ending of a format, with its dot. InputError for a format or a suffix that cannot be."""
    ending = None if format is None else f".{format.lower().lstrip('.')}"
    if ending is not None and ending not in WRITABLE_SUFFIXES:
        names = ", ".join(name[1:] for name in WRITABLE_SUFFIXES)
        raise InputError(f"format is {format!r}: choose one of {names}.")
    if os.sep in suffix or "/" in suffix:
        raise InputError(
            f"suffix is {suffix!r}: leave out the slash, it is put behind each file's name."
        )
    return ending


def target_name(name: str, suffix: str, ending: str | None) -> str:
    """What a photograph of this name becomes. The folders in the name stay."""
    stem, own = os.path.splitext(name)
    return f"{stem}{suffix}{ending or (own if own.lower() in WRITABLE_SUFFIXES else '.jpg')}"


def _without_results(jobs: list[FileJob]) -> list[FileJob]:
    """Without the jobs whose source is another job's result, of an earlier run into the same
    folder."""
    targets = {_identity(job.target): job.source for job in jobs}
    return [job for job in jobs if targets.get(_identity(job.source), job.source) == job.source]


def _single_job(inputs: list[Path], output: Path, renamed: bool) -> FileJob:
    """For an output that is the name of one file."""
    if len(inputs) > 1 or inputs[0].is_dir():
        raise InputError(f"{output} is the name of one file, but more may come out: name a folder.")
    if renamed:
        raise InputError(
            f"{output} is the whole name of the output: "
            "leave out suffix and format, or name a folder."
        )
    return FileJob(checked_image_name(inputs[0]), output)


def checked_image_name(path: Path) -> Path:
    """The path. InputError if it is not named as an image."""
    if path.suffix.lower() in _OTHER_IMAGES:
        raise InputError(
            f"{path} is an image of a kind that cannot be read: convert it, for example with "
            f'ImageMagick, magick "{path}[0]" "{path.with_suffix(".png")}", or leave it out.'
        )
    if path.suffix.lower() not in PHOTOGRAPH_SUFFIXES:
        raise InputError(
            f"{path} is not named as an image ({', '.join(PHOTOGRAPH_SUFFIXES)}): "
            "rename it if it is one, or leave it out."
        )
    return path


def images_below(folder: Path, output: Path, passed_over: list[Path]) -> list[Path]:
    """Image files in a folder and its subfolders, without hidden ones, and without the output of an
    earlier run if it lies inside. The other files are added to `passed_over`."""

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename} cannot be read ({error.strerror}): "
            "allow reading it, or leave it out."
        ) from error

    output_folder = os.path.realpath(output)  # Path.resolve raises for a link to itself
    images: list[Path] = []
    for parent, subfolders, names in os.walk(folder, onerror=refuse):
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".")
            and os.path.realpath(os.path.join(parent, name)) != output_folder
        ]
        for name in names:
            if is_photograph_name(name):
                images.append(Path(parent) / name)
            elif not name.startswith("."):
                passed_over.append(Path(parent) / name)
    if not images:
        raise InputError(
            f"{folder} holds no images ({', '.join(PHOTOGRAPH_SUFFIXES)}): name another folder."
        )
    return images


def _check_targets(jobs: list[FileJob], *, may_exist: bool) -> None:
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
