"""`ibsd train`: a run from a config, followed, stopped and resumed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ibsd.types import InputError

if TYPE_CHECKING:
    from ibsd.config.run import Config
    from ibsd.distributed import Processes
    from ibsd.training import TrainingResult


def train(
    config: Path,
    /,
    *overrides: str,
    resume: Annotated[bool, Parameter(negative="")] = False,
    deterministic: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Train as a config file says.

    For example:

    $ ibsd train run.toml data.pairs=photos/ training.num_steps=2000

    $ ibsd train run.toml data.pairs=photos/ training.num_steps=2000 --resume

    Ctrl-C or SIGTERM saves and leaves, once more leaves at once.

    The run folder (run.folder, by default runs/ and the config's name) gets
    weights, checkpoints, logs and report.html.

    Parameters
    ----------
    config:
        TOML file that describes the run.
    overrides:
        Values that replace the file's: section.key=value.
    resume:
        Go on from the newest intact checkpoint of the run folder.
    deterministic:
        The same bits again, on CUDA too: run.deterministic=true.
    json:
        Print the result as one JSON object.
    """
    from ibsd.distributed import process_group

    overrides = (*overrides, "run.deterministic=true") if deterministic else overrides
    with process_group() as processes:
        return run(config, overrides, resume, json, processes)


def run(
    path: Path, overrides: tuple[str, ...], resume: bool, as_json: bool, processes: Processes
) -> int:
    """What the command does in this process; returns the exit code."""
    from ibsd.cli.progress import TrainingProgress
    from ibsd.cli.signals import StopRequests
    from ibsd.cli.terminal import output_console, print_json
    from ibsd.commands.report import report_runs
    from ibsd.commands.train import train as train_run
    from ibsd.config.run import load_config
    from ibsd.training.execution import Callbacks

    config = load_config(path, overrides)
    folder = Path(config.run.folder)
    name = folder.name
    if not processes.is_main:
        with StopRequests(patient=True) as stop:
            result = train_run(config, resume, Callbacks(stop_requested=stop.reason), processes)
        return 0 if result.finished else 128 + stop.received
    with (
        StopRequests(patient=processes.world_size > 1) as stop,
        TrainingProgress({name: config.training.num_steps}) as progress,
    ):
        result = train_run(
            config,
            resume,
            Callbacks(
                log=lambda sentence: progress.log(name, sentence),
                on_step=lambda step, terms: progress.on_step(name, step, terms),
                on_validation=lambda step, scores: progress.on_validation(name, step, scores),
                stop_requested=stop.reason,
            ),
            processes,
        )
        try:
            report = report_runs([folder], folder / "report.html", pictures=result.finished)
        except (
            InputError
        ) as error:  # some pair is gone meanwhile: what was trained is there all the same
            progress.log(name, f"the page goes without pictures: {error}")
            report = report_runs([folder], folder / "report.html", pictures=False)
    if not result.finished and not stop.received:
        raise InputError(f"{folder}: stopped at step {result.step}: {result.reason}")
    command = shlex.join(["ibsd", "train", str(path), *overrides, "--resume"])
    if as_json:
        print_json(
            {
                **vars(result),
                "folder": config.run.folder,
                "weights": weights(config),
                "report": report,
            }
        )
    else:
        output_console().print("\n".join(summary(config, result, report, command)), markup=False)
    return 0 if result.finished else 128 + stop.received


def weights(config: Config) -> dict[str, str]:
    """The weight files that the run has written, best guess for use first."""
    folder = Path(config.run.folder)
    return {
        name: str(folder / f"{name}.safetensors")
        for name in ("last", "best", "last-raw")
        if (folder / f"{name}.safetensors").is_file()
    }


def summary(config: Config, result: TrainingResult, report: Path, resume_command: str) -> list[str]:
    """The result for people."""
    from ibsd.cli.progress import clock

    lines: list[str] = []
    if result.finished:
        lines.append(
            f"{result.step:,} steps done; {clock(result.seconds)} of training in this session"
        )
    else:
        lines.append(
            f"{result.reason} at step {result.step:,} of {config.training.num_steps:,}; "
            f"saved in {config.run.folder}/checkpoints"
        )
    if result.best_step:
        lines.append(f"best on val: {result.best_score:.2f} dB PSNR-Y at step {result.best_step:,}")
    if result.skipped:
        lines.append(
            f"{result.skipped} steps were skipped because their loss or gradient stood out"
        )
    written = weights(config) if result.finished else {}
    lines += [f"weights: {file}" for file in list(written.values())[:2]]
    lines.append(f"report:  {report}")
    if not result.finished:
        return [*lines, f"go on with: {resume_command}"]
    lines.append("next:")
    if config.data.pairs:
        lines.append(f"  {shlex.join(['ibsd', 'evaluate', written['last'], config.data.pairs])}")
    upscale = ["ibsd", "upscale", "photo.jpg", "-o", "photo-large.png"]
    lines.append(f"  {shlex.join([*upscale, '--weights', written['last']])}")
    return lines
