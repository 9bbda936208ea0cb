"""`ibsd upscale --cluster`: what its run says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ibsd.cli.progress import clock
from ibsd.cli.signals import Ended
from ibsd.cli.terminal import log, print_json, print_line, progress_bars
from ibsd.cli.upscaled import say_all, say_file
from ibsd.cluster import require_ray
from ibsd.types import InputError, counted

if TYPE_CHECKING:
    from ibsd.cluster.worker import Result
    from ibsd.commands.upscale_cluster import ClusterRun, Estimate


def on_cluster(cluster: str | None, dry_run: bool, json: bool, **options: Any) -> int:
    """A run, or with `dry_run` what it would take. `options` are the other fields of `ClusterRun`.
    Returns the exit code."""
    if cluster is None:
        raise InputError("--dry-run and --shards are for a cluster: add --cluster local or ADDRESS")
    require_ray()
    from ibsd.commands.upscale_cluster import ClusterRun

    run = ClusterRun(address=cluster, **options)
    return foretell(run, json=json) if dry_run else follow(run, json=json)


def follow(run: ClusterRun, *, json: bool) -> int:
    """Runs, and prints as a run on one machine does. Returns the exit code."""
    from ibsd.commands.upscale_cluster import upscale_on_cluster
    from ibsd.upscaling import summary_of_counts

    progress = (0, 0)
    results: list[Result] = []
    with progress_bars() as bars:
        files = bars.add_task("files", total=None)

        def on_file(result: Result, done: int, total: int) -> None:
            nonlocal progress
            progress = done, total
            bars.update(files, completed=done, total=total)
            if json:
                results.append(result)
            say_file(result, json)

        try:
            outcome = upscale_on_cluster(run, on_file, log)
        except (Ended, KeyboardInterrupt):
            done, total = progress
            again = " without --force" if run.force else ""
            log(f"stopped, {done} of {total} done: the same command goes on{again}")
            raise
    shown = {"files": [vars(result) for result in results], **outcome._asdict()}
    summary = summary_of_counts(outcome.total, outcome.num_skipped, outcome.errors)
    return say_all(shown, outcome.passed_over, summary, bool(outcome.errors), json)


def foretell(run: ClusterRun, *, json: bool) -> int:
    """Prints what the run would take. Returns the exit code."""
    from ibsd.commands.upscale_cluster import estimate

    expected = estimate(run, log)
    if json:
        totals = {name: getattr(expected, name) for name in ("worker_seconds", "result_bytes")}
        print_json(expected._asdict() | totals)
    else:
        print_line(sentences(expected))
    return 0


def sentences(expected: Estimate) -> str:
    """The estimate in words."""
    seconds = expected.seconds_each
    unit = "GPU" if expected.on_gpu else "core"
    total = expected.worker_seconds
    lines = [
        f"{counted(expected.files, 'photograph')} to upscale, "
        f"{expected.num_settled:,} there already.",
        f"{len(seconds)} measured: {total / expected.files:.2f} s each on one {unit} "
        f"({min(seconds):.2f} to {max(seconds):.2f}).",
        f"About {clock(total / expected.workers)} with {counted(expected.workers, 'worker')}, "
        f"{total / 3600:,.2f} {unit} hours, {expected.result_bytes / 1e6:,.0f} MB of results.",
    ]
    return "\n".join([*lines, *(f"  {error}" for error in expected.errors)])
