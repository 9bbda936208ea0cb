"""`ibsd upscale --cluster` without a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any, Literal, NamedTuple

import ibsd
from ibsd.cluster.engine import Job, Workers, connected
from ibsd.cluster.listing import Listing, absolute, listed, refuse_existing_targets, rows_of
from ibsd.cluster.manifest import Manifest, Row, State, is_begun, opened
from ibsd.cluster.metrics import Metrics
from ibsd.cluster.tars import Tars, refuse_existing_tars
from ibsd.cluster.worker import Made, Result, Upscaling, remove_partials
from ibsd.commands.fast_weights import fast_weights
from ibsd.inference.exported import sha256_of
from ibsd.inference.network import Network
from ibsd.inference.open import crisp_file, open_network
from ibsd.types import InputError, counted
from ibsd.upscaling.folders import check_quality
from ibsd.upscaling.size import NETWORK_SIZE, Size
from ibsd.upscaling.strips import TileSize
from ibsd.weights import named_or_file

CALIBRATION_FILES = 8
"""Photographs that `estimate` makes."""


@dataclass(frozen=True)
class ClusterRun:
    """The options of `ibsd upscale`."""

    inputs: Sequence[str]
    output: str
    weights: Path
    address: str
    look: float = 0.0
    tile: TileSize = "auto"
    size: Size = NETWORK_SIZE
    suffix: str = ""
    format: str | None = None
    quality: int = 95
    first_frame: bool = False
    force: bool = False
    skip_existing: bool = False
    backend: str = "auto"
    precision: str = "auto"
    device: str = "auto"
    shards: Literal["tar"] | None = None

    @property
    def options(self) -> dict[str, Any]:
        """Of `open_network`."""
        return {"backend": self.backend, "precision": self.precision, "device": self.device}

    def settings(self) -> dict[str, object]:
        """What decides the bytes of a result."""
        size = {name: value for name, value in vars(self.size).items() if value is not None}
        return {
            "ibsd": ibsd.__version__,
            "weights": sha256_of(named_or_file(self.weights)),
            "look": self.look,
            "tile": self.tile,
            "size": size,
            "suffix": self.suffix,
            "format": self.format,
            "quality": self.quality,
            "first frame": self.first_frame,
            "shards": self.shards,
            **self.options,
        }

    def upscaling(self, keep_existing: bool) -> Upscaling:
        weights = named_or_file(self.weights).absolute()
        return Upscaling(
            partial(open_fast, weights, self.look, self.options),
            self.tile,
            self.size,
            self.quality,
            self.first_frame,
            keep_existing,
        )


def open_fast(weights: Path, look: float, options: dict[str, Any]) -> Network:
    """The network as one machine opens it; runs in the workers."""
    return open_network(fast_weights(weights, **options), look=look, **options)


class Outcome(NamedTuple):
    """What became of a run."""

    total: int
    num_skipped: int
    """Files that were there, or that an earlier run made."""
    errors: list[str]
    passed_over: list[str]


OnFile = Callable[[Result, int, int], None]


def upscale_on_cluster(run: ClusterRun, on_file: OnFile, log: Callable[[str], None]) -> Outcome:
    """Upscales what is not in the manifest of the output. `on_file` is called as by `upscale_jobs`.

    Errors: InputError before anything is computed as in `upscale_files`, and for a manifest of
    other settings; later for a full disk, or a store that does not answer.
    """
    listing, settings = _checked(run)
    with opened(run.output, settings, force=run.force) as manifest:
        pending = manifest.unsettled(listing.jobs)
        total = len(listing.jobs)
        num_skipped, errors = total - len(pending), list[str]()
        tars = Tars(absolute(run.output), manifest) if run.shards else None
        if len(pending):
            results = _results(run, pending, manifest, tars, log)
            for done, result in enumerate(results, start=num_skipped + 1):
                num_skipped += result.skipped
                errors += [result.error] if result.error else []
                on_file(result, done, total)
        if tars:
            tars.finish()
    return Outcome(total, num_skipped, errors, listing.passed_over)


def _checked(run: ClusterRun) -> tuple[Listing, dict[str, object]]:
    check_quality(run.quality)
    if run.force and run.skip_existing:
        raise InputError(
            "force replaces what exists and skip_existing keeps it: choose one of them."
        )
    if run.shards and run.skip_existing:
        raise InputError("--skip-existing keeps files, and --shards writes tars: leave one out")
    crisp_file(named_or_file(run.weights), run.weights, run.look)  # refuses what cannot be
    settings = run.settings()
    listing = listed(run.inputs, run.output, suffix=run.suffix, format=run.format)
    if not (run.force or run.skip_existing or is_begun(run.output)):
        if run.shards:
            refuse_existing_tars(run.output)
        else:
            refuse_existing_targets(listing.jobs, run.output)
    return listing, settings


def _results(
    run: ClusterRun, pending: Any, manifest: Manifest, tars: Tars | None, log: Callable[[str], None]
) -> Iterator[Result]:
    in_flight: list[Job] = []
    done = 0
    loose = tars.loose if tars else lambda target: target
    jobs = (Job(source, loose(target)) for source, target in rows_of(pending))
    keeps = tars is not None or not manifest.replaces
    log(opening(run, len(pending)))
    try:
        with connected(run.address):
            workers = Workers(run.upscaling(keeps), run.device, len(pending), log)
            metrics = Metrics()
            try:
                with closing(workers.results(jobs)) as results:
                    for done, (job, made) in enumerate(results, start=1):
                        result = made.result
                        if result.skipped and not run.skip_existing:
                            # Of this run itself, which ended before it could say so.
                            result = replace(result, skipped=False)
                        if tars:
                            job = job._replace(target=tars.target(job.target))
                            result = tars.named(result)
                        row = _row(job, made._replace(result=result))
                        if tars and row.state == "done":
                            tars.add(row)
                        else:
                            manifest.add(row)
                        metrics.add(row, result.pixels, len(pending) - done)
                        yield result
            except InputError as no_more:
                raise InputError(
                    f"{no_more}; {done} of {len(pending)} are done, the same command goes on"
                ) from no_more
            finally:
                in_flight = workers.in_flight()
    finally:  # all workers have ended
        for job in in_flight:
            remove_partials(job.target)


def opening(run: ClusterRun, number: int) -> str:
    """The sentence before Ray answers, which takes some seconds."""
    ray = "starting Ray" if run.address == "local" else f"connecting to {run.address}"
    return f"{ray} for {counted(number, 'photograph')}"


def _row(job: Job, made: Made) -> Row:
    result = made.result
    state: State = "failed" if result.error else "skipped" if result.skipped else "done"
    return Row(
        job.source,
        job.target,
        state,
        result.error,
        result.note,
        made.seconds,
        job.tries + 1,
        made.node,
        ibsd.__version__,
    )


class Estimate(NamedTuple):
    """What a run would take, by a few photographs that were made and thrown away."""

    files: int
    num_settled: int
    workers: int
    on_gpu: bool
    seconds_each: list[float]
    """What a worker took for each photograph that was made."""
    bytes_each: list[int]
    errors: list[str]

    @property
    def worker_seconds(self) -> float:
        return statistics.mean(self.seconds_each) * self.files

    @property
    def result_bytes(self) -> float:
        return statistics.mean(self.bytes_each) * self.files


def estimate(run: ClusterRun, log: Callable[[str], None]) -> Estimate:
    """Makes `CALIBRATION_FILES` photographs, evenly spaced in the list, on the cluster. Nothing is
    kept. InputError as `upscale_on_cluster`, and if none of them can be made."""
    listing, settings = _checked(run)
    pending = listing.jobs
    if is_begun(run.output) and not run.force:
        with opened(run.output, settings) as manifest:
            pending = manifest.unsettled(listing.jobs)
    number = min(len(pending), CALIBRATION_FILES)
    if not number:
        raise InputError(f"nothing is left to estimate: all photographs are in {run.output}")
    chosen = pending.take([k * len(pending) // number for k in range(number)])
    log(opening(run, number))
    with connected(run.address):
        workers = Workers(run.upscaling(False), run.device, len(pending), log)
        measured = workers.measured([*starmap(Job, rows_of(chosen))])
        made = [figures for figures in measured if not isinstance(figures, str)]
        errors = [error for error in measured if isinstance(error, str)]
        if not made:
            raise InputError(f"none of {number} photographs can be upscaled: {errors[0]}")
        seconds, sizes = zip(*made, strict=True)
        settled = len(listing.jobs) - len(pending)
        return Estimate(
            len(pending), settled, len(workers), workers.on_gpu, [*seconds], [*sizes], errors
        )
