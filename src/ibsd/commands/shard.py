"""`ibsd data shard` without a terminal: photographs become shards, on threads or on a cluster."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ibsd.cluster import Failed
from ibsd.cluster.store import NoAnswerError, local_job
from ibsd.commands.threads import on_threads
from ibsd.data.shards import (
    INDEX,
    Shard,
    crops_of,
    is_shards,
    missing_shards,
    read_index,
    write_shard,
)
from ibsd.images import read_rgb
from ibsd.system import claimed, make_folder, write_whole
from ibsd.types import InputError, counted
from ibsd.upscaling.file_jobs import images_below


@dataclass(frozen=True)
class Sharding:
    """What `ibsd data shard` is given."""

    source: str
    """A folder with its subfolders; on a cluster whatever `cluster.listing.listed` takes."""
    output: Path
    crop_px: int
    crops: int
    """At most, of each photograph."""
    shard_mib: int
    seed: int
    jobs: int
    """Threads, each with one photograph in memory."""
    cluster: str | None
    force: bool

    @property
    def photographs_a_shard(self) -> int:
        """As many as fill it, where all are large."""
        return max(1, self.shard_mib * 2**20 // (self.crops * 3 * self.crop_px**2))


class Task(NamedTuple):
    """One shard to make."""

    number: int
    photographs: Sequence[str]


def make_shards(
    sharding: Sharding, on_shard: Callable[[int, int], None]
) -> tuple[list[Shard], dict[str, Any]]:
    """Makes the shards that are missing. `on_shard` takes (done, total).

    The same photographs and settings give the same bytes, on any number of cores. Photographs are
    shuffled, so that each shard is like the whole collection.

    Returns: all shards in order, and the settings in the index.

    Errors: InputError for photographs that are not there, for a folder that holds something else,
    and if no photograph gives a crop. Photographs that cannot be read, or are too small, are in
    `Shard.left_out`.
    """
    output = sharding.output.absolute()
    names = photograph_names(sharding)
    each = sharding.photographs_a_shard
    random.Random(sharding.seed).shuffle(names)
    tasks = [Task(k, names[k * each : (k + 1) * each]) for k in range(-(-len(names) // each))]
    settings = {
        "crop_px": sharding.crop_px,
        "crops": sharding.crops,
        "seed": sharding.seed,
        "photographs": len(names),
        "photographs_a_shard": each,
        "names": hashlib.sha256("\0".join(names).encode(errors="surrogateescape")).hexdigest(),
        "shards": len(tasks),
    }
    with opened_index(output, settings, sharding.force) as (index, made):
        to_do = [tasks[number] for number in missing_shards(output, settings, made)]
        done = len(tasks) - len(to_do)
        on_shard(done, len(tasks))

        failed: list[str] = []

        def keep(_: int, shard: Shard | Failed) -> None:
            nonlocal done
            if isinstance(shard, Failed):
                failed.append(shard.reason)
                return
            index.write(json.dumps(asdict(shard)).encode() + b"\n")
            index.flush()
            made[shard.number] = shard
            done += 1
            on_shard(done, len(tasks))

        make = partial(make_shard, sharding, output)
        if sharding.cluster is None:
            on_threads(make, to_do, sharding.jobs, keep)
        else:
            from ibsd.cluster.tasks import on_cluster

            on_cluster(make, to_do, sharding.cluster, keep)
    if failed:
        raise InputError(
            f"{len(failed)} of {counted(len(tasks), 'shard')} cannot be made, the first: "
            f"{failed[0]}: the same command tries them again"
        )
    shards = [made[task.number] for task in tasks]
    if not any(shard.crops for shard in shards):
        name, reason = shards[0].left_out[0]
        raise InputError(f"no photograph gives a crop, such as {name}: {reason}")
    return shards, settings


def photograph_names(sharding: Sharding) -> list[str]:
    """Absolute names or addresses, sorted."""
    if sharding.cluster is not None:
        from ibsd.cluster.listing import listed

        return listed([sharding.source], str(sharding.output)).jobs["source"].to_pylist()
    folder = Path(sharding.source)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: name the folder that holds the photographs")
    return sorted(str(path) for path in images_below(folder.absolute(), sharding.output, []))


@contextmanager
def opened_index(
    folder: Path, settings: dict[str, Any], force: bool
) -> Generator[tuple[IO[bytes], dict[int, Shard]]]:
    """The index, to be added to, and the shards that it has. InputError if it is of other
    photographs or settings, or if another run has it."""
    make_folder(folder)
    with claimed(folder) as ours:
        if not ours:
            raise InputError(f"another run makes shards in {folder}: wait for it")
        made: dict[int, Shard] = {}
        if is_shards(folder) and not force:
            before, made = read_index(folder)
            if before != settings:
                raise InputError(
                    f"{folder} holds shards of other photographs or settings: choose another "
                    "folder, or replace them with --force"
                )
        elif is_shards(folder):
            for path in folder.glob("[0-9]*.rgb"):
                path.unlink()
        lines = [json.dumps(settings), *(json.dumps(asdict(shard)) for shard in made.values())]
        write_whole(folder / INDEX, "".join(f"{line}\n" for line in lines))
        with open(folder / INDEX, "ab") as index:
            yield index, made


def make_shard(
    sharding: Sharding, folder: Path, task: Task, stopped: Callable[[], bool] = lambda: False
) -> Shard:
    """Writes one shard. What is cut depends on the seed and on names alone."""
    left_out: list[tuple[str, str]] = []

    def crops() -> Iterator[np.ndarray]:
        for k, name in enumerate(task.photographs):
            if stopped():
                raise InputError("stopped: the same command goes on")
            draw = np.random.default_rng([sharding.seed, task.number, k])
            try:
                pixels = read_photograph(name)
                yield crops_of(pixels, sharding.crop_px, sharding.crops, draw)
            except NoAnswerError:
                raise
            except InputError as error:
                left_out.append((name, str(error).removeprefix(f"{name} ")))

    shard = write_shard(folder, task.number, crops())
    return replace(shard, left_out=tuple(left_out))


def read_photograph(name: str) -> np.ndarray:
    """uint8 [H, W, 3] of a file or an object."""
    with local_job(name, "-") as job:
        return read_rgb(job.source)
