"""Files and folders of photographs through a student. What can be known beforehand is checked
before the first pixel is computed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ibsd.images import (
    PHOTOGRAPH_SUFFIXES,
    WRITABLE_SUFFIXES,
    check_writable,
    is_photograph_name,
    open_photograph,
    write_photograph,
)
from ibsd.inference.network import Network, TensorFunction, as_network
from ibsd.system import is_disk_full, is_out_of_memory, make_folder
from ibsd.types import InputError, Scale
from ibsd.upscaling.strips import TileSize, tiles_for, upscaled_strips


@dataclass(frozen=True)
class Result:
    """What became of one file."""

    source: Path
    target: Path
    error: str | None = None
    """One sentence; None if `target` was written, or skipped."""
    note: str | None = None
    """What `target`'s format could not keep of the photograph."""
    skipped: bool = False
    """`target` was there already and is as it was."""


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
    on_file: Callable[[Result, int, int], None] | None = None,
    on_tile: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Upscale image files and folders of them (with their subfolders, which the output mirrors).

    Args:
        inputs: files and folders. Hidden files and files that are not named as an image are passed
            over in folders.
        output: a folder, made if missing; or, when one file goes in, the name of the file to write.
        student: as in `upscale`.
        tile: as in `upscale`.
        scale: as in `upscale`.
        force: replace files that exist. An input file is never replaced.
        skip_existing: pass over files whose result exists, so that a stopped run of a large folder
            can go on.
        suffix: put behind each name: with "_x4", a.jpg becomes a_x4.jpg.
        format: write png, jpg, webp, tiff, avif or bmp; by default each file's own format, and jpg
            for HEIC, which nobody may encode.
        quality: 1 to 100, for jpg, webp and avif.
        on_file: called as on_file(result, done, all) after each file.
        on_tile: called as on_tile(done, all) after each tile of the file at work.

    Returns:
        One result a file, in order of path. A file that cannot be read or written is reported there
        and the others go on; each target holds a whole picture or is untouched.

    Raises:
        InputError: before anything is computed: an input is missing or not named as an image, a
            folder holds no images, an output exists (without `force`) or is itself an input, two
            inputs would become one output, the output folder cannot be written to, or tile or scale
            is wrong. Later only when the disk is full, which ends the whole.
    """
    if not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}: choose 1 to 100.")
    if force and skip_existing:
        raise InputError(
            "force replaces what exists and skip_existing keeps it: choose one of them."
        )
    results: list[Result] = []
    with as_network(student, scale) as network:
        tiles_for(tile, network)
        jobs = _jobs([Path(path) for path in inputs], Path(output), suffix, format)
        _check_targets(jobs, force or skip_existing)
        for folder in sorted({target.parent for _, target in jobs}):
            make_folder(folder)
        for source, target in jobs:
            if skip_existing and os.path.lexists(target):
                result = Result(source, target, skipped=True)
            else:
                try:
                    result = _upscale_file(source, target, network, tile, quality, force, on_tile)
                except InputError as full:
                    raise InputError(_how_far(results, len(jobs), full)) from full
            results.append(result)
            if on_file:
                on_file(result, len(results), len(jobs))
    return results


def _upscale_file(
    source: Path,
    target: Path,
    network: Network,
    tile: TileSize,
    quality: int,
    force: bool,
    on_tile: Callable[[int, int], None] | None,
) -> Result:
    """What became of one file. InputError if the disk is full, as then no file that comes after can
    be written either."""
    try:
        photograph = open_photograph(source)
        facts = photograph.facts.upscaled(network.scale)
        note = check_writable(target, facts)
        write_photograph(
            target,
            facts,
            upscaled_strips(photograph, network, tile, on_tile),
            quality=quality,
            force=force,
        )
    except InputError as reason:
        if is_disk_full(reason):
            raise
        return Result(source, target, str(reason))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return Result(
            source,
            target,
            f"{source} needs more memory than there is: choose a smaller --tile, make it smaller, or raise the limit",
        )
    return Result(source, target, note=note and f"{target}: {note}")


def _how_far(results: Sequence[Result], total: int, full: InputError) -> str:
    """What is done, for whoever goes on once there is space."""
    failed = [f"  {result.error}" for result in results if result.error]
    goes_on = ", go on with --skip-existing" if total > 1 else ""
    return "\n".join(
        [f"{full}; {len(results) - len(failed)} of {total} are done{goes_on}", *failed]
    )


def summary(results: Sequence[Result]) -> str:
    """How many were written, and a line for each that was not."""
    failed = [result for result in results if result.error]
    skipped = sum(result.skipped for result in results)
    counts = [f"{len(results) - len(failed) - skipped} of {len(results)} upscaled"]
    counts += [f"{skipped} there already"] * bool(skipped) + [f"{len(failed)} left out"] * bool(
        failed
    )
    return "\n".join(
        [", ".join(counts) + (":" if failed else "."), *(f"  {result.error}" for result in failed)]
    )


def _jobs(
    inputs: list[Path], output: Path, suffix: str, format: str | None
) -> list[tuple[Path, Path]]:
    """(source, target) of every file, sorted; each source once for each target."""
    if not inputs:
        raise InputError("there is nothing to upscale: name files or folders.")
    ending = None if format is None else f".{format.lower().lstrip('.')}"
    if ending is not None and ending not in WRITABLE_SUFFIXES:
        raise InputError(
            f"format is {format!r}: choose one of {', '.join(name[1:] for name in WRITABLE_SUFFIXES)}."
        )
    if os.sep in suffix or "/" in suffix:
        raise InputError(
            f"suffix is {suffix!r}: leave out the slash, it is put behind each file's name."
        )
    for path in inputs:
        if not os.path.exists(path):  # unlike Path.exists, not raising where looking is forbidden
            raise InputError(f"{path} does not exist: check the name.")
    if output.suffix.lower() in PHOTOGRAPH_SUFFIXES and not output.is_dir():
        if len(inputs) > 1 or inputs[0].is_dir():
            raise InputError(
                f"{output} is the name of one file, but more may come out: name a folder."
            )
        if suffix or format:
            raise InputError(
                f"{output} is the whole name of the output: leave out suffix and format, or name a folder."
            )
        return [(_image_file(inputs[0]), output)]
    jobs: set[tuple[Path, Path]] = set()
    for path in inputs:
        files = (
            [(file, file.relative_to(path)) for file in _images_below(path, output)]
            if path.is_dir()
            else [(_image_file(path), Path(path.name))]
        )
        jobs |= {
            (file, output / name.with_name(f"{name.stem}{suffix}{ending or _own_ending(name)}"))
            for file, name in files
        }
    return sorted(jobs)


def _own_ending(name: Path) -> str:
    return name.suffix if name.suffix.lower() in WRITABLE_SUFFIXES else ".jpg"


def _image_file(path: Path) -> Path:
    if path.suffix.lower() not in PHOTOGRAPH_SUFFIXES:
        raise InputError(
            f"{path} is not named as an image ({', '.join(PHOTOGRAPH_SUFFIXES)}): convert it, or leave it out."
        )
    return path


def _images_below(folder: Path, output: Path) -> list[Path]:
    """Image files in a folder and its subfolders, without hidden ones and without what an earlier
    run wrote if the output lies inside."""

    def refuse(error: OSError) -> None:
        raise InputError(
            f"{error.filename} cannot be read ({error.strerror}): allow reading it, or leave it out."
        ) from error

    own_output = output.resolve()
    found: list[Path] = []
    for here, subfolders, names in os.walk(folder, onerror=refuse):
        subfolders[:] = [
            name
            for name in subfolders
            if not name.startswith(".") and (Path(here) / name).resolve() != own_output
        ]
        found += [Path(here) / name for name in names if is_photograph_name(name)]
    if not found:
        raise InputError(
            f"{folder} holds no images ({', '.join(PHOTOGRAPH_SUFFIXES)}): name another folder."
        )
    return found


def _check_targets(jobs: list[tuple[Path, Path]], force: bool) -> None:
    sources = {_identity(source): source for source, _ in jobs}
    sources_of: dict[Path, Path] = {}
    for source, target in jobs:
        other = sources_of.setdefault(target, source)
        if _identity(other) != _identity(source):
            raise InputError(
                f"{other} and {source} would both become {target}: upscale them one after the other into different folders."
            )
        if _identity(target) in sources:
            raise InputError(
                f"{target} is itself an input and is never replaced: choose another folder or a suffix."
            )
        if os.path.isdir(target):
            raise InputError(
                f"{target} is a folder where a file is to be written: choose another output."
            )
    existing = [target for _, target in jobs if os.path.lexists(target)]
    if existing and not force:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise InputError(
            f"{existing[0]}{more} exists already: choose another output, or --force to replace it."
        )


def _identity(path: Path) -> tuple[int, int] | Path:
    """The same for two names of one file."""
    try:
        status = path.stat()
    except OSError:  # missing, or a link to nowhere
        return path.absolute()
    return status.st_dev, status.st_ino
