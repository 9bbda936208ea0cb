"""`ibsd upscale --cluster`: what its run says."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from ibsd.cli.progress import clock
from ibsd.cli.signals import Ended
from ibsd.cli.terminal import print_json, print_line, printable, status_console
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
    from rich.progress import Progress

    from ibsd.commands.upscale_cluster import upscale_on_cluster
    from ibsd.upscaling import summary_of_counts

    console = status_console()
    done_and_total = (0, 0)
    results: list[Result] = []

    def log(sentence: str) -> None:
        console.print(printable(sentence), markup=False)

    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        files = bars.add_task("files", total=None)

        def on_file(result: Result, done: int, total: int) -> None:
            nonlocal done_and_total
            done_and_total = done, total
            bars.update(files, completed=done, total=total)
            if json:
                results.append(result)
            elif result.error is None and not result.skipped:
                log(f"{result.source} -> {result.target}")
            if result.note:
                log(result.note)

        try:
            outcome = upscale_on_cluster(run, on_file, log)
        except (Ended, KeyboardInterrupt):
            done, total = done_and_total
            said = f"stopped, {done} of {total} done: the same command goes on"
            again = " without --force" if run.force else ""
            console.print(f"{said}{again}", markup=False)
            raise
    if json:
        print_json({"files": [vars(result) for result in results], **outcome._asdict()})
    for path in () if json else outcome.passed_over:
        log(f"passed over, not named as an image: {path}")
    summary = summary_of_counts(outcome.total, outcome.num_skipped, outcome.errors)
    if outcome.errors:
        print(printable(f"ibsd: {summary}"), file=sys.stderr)
        return 2
    if not json:
        print_line(summary)
    return 0


def foretell(run: ClusterRun, *, json: bool) -> int:
    """Prints what the run would take. Returns the exit code."""
    from ibsd.commands.upscale_cluster import estimate

    found = estimate(run, lambda sentence: status_console().print(sentence, markup=False))
    if json:
        print_json(
            {
                **found._asdict(),
                "worker_seconds": found.worker_seconds,
                "result_bytes": found.result_bytes,
            }
        )
    else:
        print_line(sentences(found))
    return 0


def sentences(found: Estimate) -> str:
    """The estimate in words."""
    each = found.seconds_each
    unit = "GPU" if found.on_gpu else "core"
    lines = [
        f"{counted(found.files, 'photograph')} to upscale, {found.num_settled:,} there already.",
        f"{len(each)} measured: {found.worker_seconds / found.files:.2f} s each on one {unit} "
        f"({min(each):.2f} to {max(each):.2f}).",
        f"About {clock(found.worker_seconds / found.workers)} with "
        f"{counted(found.workers, 'worker')}, {found.worker_seconds / 3600:,.2f} {unit} hours, "
        f"{found.result_bytes / 1e6:,.0f} MB of results.",
    ]
    return "\n".join([*lines, *(f"  {error}" for error in found.errors)])
