"""`ibsd train`: a run from a config file."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ibsd.cli.options import Flag
from ibsd.types import InputError, counted

if TYPE_CHECKING:
    from ibsd.config.run import Config
    from ibsd.distributed import Processes
    from ibsd.training import TrainingResult


def train(
    config: Path,
    /,
    *overrides: str,
    resume: Flag = False,
    deterministic: Flag = False,
    json: Flag = False,
) -> int:
    """Train a network from a config file.

    For example:

    $ ibsd train run.toml data.pairs=photos/ training.num_steps=2000

    $ ibsd train run.toml data.pairs=photos/ training.num_steps=2000 --resume

    Ctrl-C or SIGTERM saves a checkpoint and stops. A second one stops at once.

    Weights, checkpoints, logs and report.html go into the run folder: run.folder, or runs/ and the
    config's name.

    Parameters
    ----------
    config:
        TOML file that describes the run.
    overrides:
        Settings that replace the file's: section.key=value.
    resume:
        Continue from the newest intact checkpoint of the run folder.
    deterministic:
        Give the same bits twice, on CUDA too. Short for run.deterministic=true.
    json:
        Print the result as JSON.
    """
    from ibsd.distributed import process_group

    overrides = (*overrides, "run.deterministic=true") if deterministic else overrides
    with process_group() as processes:
        return run(config, overrides, resume, json, processes)


def run(
    path: Path, overrides: tuple[str, ...], resume: bool, as_json: bool, processes: Processes
) -> int:
    """What the command does in this process. Returns the exit code."""
    from ibsd.cli.signals import StopRequests
    from ibsd.cli.terminal import print_json, print_line
    from ibsd.commands.train import train as train_run
    from ibsd.config.run import load_config
    from ibsd.training.execution import Callbacks

    config = load_config(path, overrides)
    if not processes.is_main:
        with StopRequests(patient=True) as stop:
            result = train_run(config, resume, Callbacks(stop_requested=stop.reason), processes)
        return 0 if result.finished else 128 + stop.received
    result, report, code = followed(config, resume, processes)
    command = shlex.join(["ibsd", "train", str(path), *overrides, "--resume"])
    if as_json:
        places = {"folder": config.run.folder, "weights": weights(config), "report": report}
        print_json(vars(result) | places)
    else:
        print_line("\n".join(summary(config, result, report, command)))
    return code


def followed(
    config: Config, resume: bool, processes: Processes
) -> tuple[TrainingResult, Path, int]:
    """Trains, shows the user the progress, lets the user stop, and writes the run's report.

    Returns: the result, the report, and the exit code: 128 + n after signal n.
    """
    from ibsd.cli.progress import TrainingProgress
    from ibsd.cli.signals import StopRequests
    from ibsd.commands.report import report_runs
    from ibsd.commands.train import train as train_run
    from ibsd.training.execution import Callbacks

    folder = Path(config.run.folder)
    name = folder.name
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
        except InputError as error:  # a pair has gone meanwhile
            progress.log(name, f"the report has no images: {error}")
            report = report_runs([folder], folder / "report.html", pictures=False)
    if not result.finished and not stop.received:
        raise InputError(f"{folder}: stopped at step {result.step}: {result.reason}")
    return result, report, 0 if result.finished else 128 + stop.received


def weights(config: Config) -> dict[str, str]:
    """The weight files that the run has written, the most useful first."""
    folder = Path(config.run.folder)
    return {
        name: str(folder / f"{name}.safetensors")
        for name in ("last-mean", "last", "best", "last-raw")
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
        lines.append(f"{counted(result.skipped, 'step')} skipped for a wild loss or gradient")
    written = list(weights(config).values()) if result.finished else []
    lines += [f"weights: {file}" for file in written[:2]]
    lines.append(f"report:  {report}")
    if not result.finished:
        return [*lines, f"go on with: {resume_command}"]
    lines.append("next:")
    if config.data.pairs:
        lines.append(f"  {shlex.join(['ibsd', 'evaluate', written[0], config.data.pairs])}")
    upscale = ["ibsd", "upscale", "photo.jpg", "-o", "photo-large.png"]
    lines.append(f"  {shlex.join([*upscale, '--weights', written[0]])}")
    return lines
