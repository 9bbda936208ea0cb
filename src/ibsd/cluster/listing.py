"""Which files become which, for millions of them: two columns of names. Only folders are listed;
no file is opened or looked at."""

from __future__ import annotations

import glob
import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ibsd.cluster import store
from ibsd.cluster.arrow import STRINGS, csv, pa, parquet, pc
from ibsd.cluster.store import is_address
from ibsd.images import is_photograph_name
from ibsd.types import InputError
from ibsd.upscaling.file_jobs import checked_ending, checked_image_name, images_below, target_name

COLUMN = "path"
"""The column of names in a list of photographs, CSV or Parquet."""
_LISTS = (".csv", ".parquet")
_ROWS = 2**16
"""Names that become ordinary strings at a time."""


class Listing(NamedTuple):
    """What is to be done."""

    jobs: Any
    """A table of the columns source and target, absolute names or addresses, each target once,
    sorted."""
    passed_over: list[str]
    """Files in the folders that are not named as an image, hidden ones left out."""


def listed(
    inputs: Sequence[str], output: str, *, suffix: str = "", format: str | None = None
) -> Listing:
    """The photographs of folders, patterns, lists and files, on disks and in object stores.

    `output` mirrors the names below a folder; of a pattern, below the last folder before its first
    wildcard; of a list, below the folder that all its files share. Names in a list begin at the
    list's own folder.

    Errors: InputError for an input that is not there or holds no photographs, for an output that is
    no folder, for a store that does not answer or refuses, and if two files would become one or a
    file would replace a photograph.
    """
    ending = checked_ending(suffix, format)
    for address in filter(is_address, (*inputs, output)):
        store.check_answers(address)
    if os.path.lexists(output) and not os.path.isdir(output):
        raise InputError(f"{output} is no folder: a run on a cluster writes into a folder")
    passed_over: list[str] = []
    tables: list[Any] = []
    for given in inputs:
        find = _root_and_addresses if is_address(given) else _root_and_names
        root, names = find(given, output, passed_over)
        tables += _tables(root, names, absolute(output), suffix, ending)
    jobs = pa.concat_tables(tables)
    if pc.count_distinct(jobs["target"]).as_py() < len(jobs):
        jobs = jobs.group_by(["source", "target"]).aggregate([])
        _check_targets_differ(jobs)
    own = jobs.filter(pc.is_in(jobs["target"], value_set=jobs["source"].combine_chunks()))
    if len(own):
        raise InputError(
            f"{own['target'][0]} is itself an input and is never replaced: "
            "choose another folder or a suffix."
        )
    return Listing(jobs.sort_by("source"), sorted(set(passed_over)))


def rows_of(jobs: Any) -> Iterator[tuple[str, str]]:
    """Source and target of each job."""
    return zip(_strings(jobs["source"]), _strings(jobs["target"]), strict=True)


def refuse_existing_targets(jobs: Any, output: str) -> None:
    """InputError if a target exists. Only folders are listed."""
    if is_address(output):
        there = store.names(output)
    else:
        there = [
            os.path.join(parent, name)
            for parent, _, names in os.walk(os.path.abspath(output))
            for name in names
            if is_photograph_name(name)
        ]
    is_there = pc.is_in(jobs["target"], value_set=pa.array(there, STRINGS))
    existing = jobs.filter(is_there)["target"]
    if len(existing):
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise InputError(
            f"{existing[0]}{more} exists already: choose another output, or --force to replace it."
        )


def _root_and_names(given: str, output: str, passed_over: list[str]) -> tuple[str, Iterable[str]]:
    """A folder, and names of photographs in it."""
    if os.path.isdir(given):
        root = os.path.abspath(given)
        others: list[Path] = []
        names = [str(path) for path in images_below(Path(root), Path(output), others)]
        passed_over += map(str, others)
        return root, names
    if os.path.exists(given):
        if given.lower().endswith(_LISTS):
            return _of_list(given)
        path = os.path.abspath(checked_image_name(Path(given)))
        return os.path.dirname(path), [path]
    if glob.has_magic(given):
        parts = Path(os.path.abspath(given)).parts
        fixed = next(k for k, part in enumerate(parts) if glob.has_magic(part))
        found = glob.iglob(os.path.abspath(given), recursive=True)
        names = [name for name in found if is_photograph_name(os.path.basename(name))]
        if not names:
            raise InputError(f"{given} matches no photograph: check the pattern, and quote it")
        return str(Path(*parts[:fixed])), names
    raise InputError(f"{given} does not exist: check the name.")


def _root_and_addresses(
    given: str, output: str, passed_over: list[str]
) -> tuple[str, Iterable[str]]:
    """`_root_and_names` in an object store."""
    root, addresses = given.rstrip("/"), store.names(given)
    if addresses == [root]:
        if root.lower().endswith(_LISTS):
            return _of_list(root)
        root = _folder(root)
    elif not addresses and glob.has_magic(given):
        root = _folder(re.split(r"[*?\[]", given)[0])
        addresses = store.names(given, pattern=True)
    found: list[str] = []
    for address in addresses:
        parts = address[len(root) + 1 :].split("/")
        if address.startswith(f"{absolute(output)}/") or any(part[:1] == "." for part in parts):
            continue
        (found if is_photograph_name(parts[-1]) and all(parts) else passed_over).append(address)
    if not found:
        raise InputError(f"{given} holds no photographs: check the name, and quote a pattern")
    return root, found


def _of_list(given: str) -> tuple[str, Iterable[str]]:
    read = csv.read_csv if given.lower().endswith(".csv") else parquet.read_table
    try:
        table = read(io.BytesIO(store.read(given)) if is_address(given) else given)
        column = table[COLUMN].cast(STRINGS)
    except (OSError, KeyError, pa.ArrowException) as error:
        reason = (
            f"it has no column {COLUMN}"
            if isinstance(error, KeyError)
            else str(error).splitlines()[0]
        )
        raise InputError(
            f"{given} is no list of photographs ({reason}): give CSV or Parquet with a column path"
        ) from None
    if column.null_count or not len(column):
        raise InputError(f"{given} holds no names, or an empty one: give each photograph a row")
    folder = _folder(absolute(given))
    names = [_joined(folder, name) for name in _strings(column)]
    wrong = next((name for name in names if not is_photograph_name(os.path.basename(name))), None)
    if wrong is not None:
        checked_image_name(Path(os.path.basename(wrong)))
        raise InputError(f"{wrong}, in {given}, is a hidden file: leave it out")
    return _common_folder(names, given), names


def _joined(folder: str, name: str) -> str:
    if is_address(name):
        store.check_address(name)
    elif is_address(folder):
        name = f"{folder}/{name}"
    else:
        return os.path.normpath(os.path.join(folder, name))
    if {"", ".", ".."} & {*name.partition("://")[2].split("/")}:
        raise InputError(f"{name} has a folder without a name, or . or ..: write it without")
    return name


def _common_folder(names: list[str], given: str) -> str:
    folders = {_folder(name).partition("://")[::2] for name in names}
    starts = {start if path else "" for start, path in folders}
    if len(starts) > 1:
        raise InputError(f"{given} names files of different kinds of places: make it several lists")
    if starts == {""}:
        return os.path.commonpath([start for start, _ in folders])
    return f"{starts.pop()}://{os.path.commonpath([path for _, path in folders])}"


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def absolute(name: str) -> str:
    """A folder's name, or its address, as the names of jobs begin."""
    return name.rstrip("/") if is_address(name) else os.path.abspath(name)


def _strings(column: Any) -> Iterator[str]:
    for start in range(0, len(column), _ROWS):
        yield from column.slice(start, _ROWS).to_pylist()


def _tables(
    root: str, names: Iterable[str], output: str, suffix: str, ending: str | None
) -> Iterator[Any]:
    sources: list[str] = []
    for name in names:
        sources.append(name)
        if len(sources) == _ROWS:
            yield _table(root, sources, output, suffix, ending)
            sources = []
    if sources:
        yield _table(root, sources, output, suffix, ending)


def _table(root: str, sources: list[str], output: str, suffix: str, ending: str | None) -> Any:
    start = len(root) + (not root.endswith("/"))
    output = output.rstrip("/")
    targets = [f"{output}/{target_name(source[start:], suffix, ending)}" for source in sources]
    try:
        return pa.table(
            {"source": pa.array(sources, STRINGS), "target": pa.array(targets, STRINGS)}
        )
    except UnicodeEncodeError as error:
        raise InputError(
            f"the name {error.object[:60]!a} is not UTF-8, as a manifest needs it: rename it"
        ) from None


def _check_targets_differ(jobs: Any) -> None:
    counts = pc.value_counts(jobs["target"])
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        target = twice.field("values")[0]
        rows = jobs.filter(pc.equal(jobs["target"], target))["source"].to_pylist()
        raise InputError(
            f"{rows[0]} and {rows[1]} would both become {target}: "
            "upscale them one after the other into different folders."
        )
