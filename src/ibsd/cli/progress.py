"""Progress of trainings: bars on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ibsd.cli.terminal import printable, status_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

SECONDS_BETWEEN_LINES = 15.0


class TrainingProgress:
    """A context in which runs report what they do.

    Args:
        runs: number of steps of each run, by the name under which it is shown.
    """

    def __init__(self, runs: Mapping[str, int], console: Console | None = None) -> None:
        self.runs = runs
        self.console = console or status_console()
        self.scores = dict.fromkeys(runs, "")
        self.bars: Progress | None = None
        self.tasks: dict[str, TaskID] = {}
        self.first: dict[str, tuple[int, float]] = {}
        """(step, time) of each run's first report: a resumed run does not start at 0."""
        self.last_line: dict[str, float] = {}

    def __enter__(self) -> TrainingProgress:
        if self.console.is_terminal:
            self.bars = _bars(self.console)
            self.bars.start()
            self.tasks = {
                name: self.bars.add_task(name, total=steps, figures="", start=False)
                for name, steps in self.runs.items()
            }
        return self

    def __exit__(self, *_: object) -> None:
        if self.bars is not None:
            self.bars.stop()

    def remark(self, sentence: str) -> None:
        """A line beside the bars."""
        self.console.print(printable(sentence), markup=False)

    def log(self, name: str, sentence: str) -> None:
        """A remark of a run."""
        self.remark(f"{self.prefix(name)}{sentence}")

    def on_step(self, name: str, step: int, terms: Mapping[str, float]) -> None:
        """Shows an update; `terms` are the latest logged means."""
        now = time.monotonic()
        if name not in self.first:
            self.first[name] = (step, now)
            self.last_line[name] = now
            if self.bars is not None:
                self.bars.reset(self.tasks[name], completed=step)
        l1 = f"l1 {terms['l1']:.4f}" if "l1" in terms else ""
        figures = "  ".join(part for part in (l1, self.scores[name]) if part)
        if self.bars is not None:
            self.bars.update(self.tasks[name], completed=step, figures=figures)
        elif now - self.last_line[name] >= SECONDS_BETWEEN_LINES or step == self.runs[name]:
            self.last_line[name] = now
            first, started = self.first[name]
            parts = [f"step {step:,} of {self.runs[name]:,}"]
            if step > first and now > started:
                rate = (step - first) / (now - started)
                parts += [f"{rate:.2f} steps/s", f"{clock((self.runs[name] - step) / rate)} left"]
            self.log(name, "  ".join([*parts, figures]).rstrip())

    def on_validation(self, name: str, step: int, scores: Mapping[str, float]) -> None:
        """Shows the scores of a validation."""
        self.scores[name] = f"val {scores['psnr_y']:.2f} dB" if "psnr_y" in scores else ""
        if self.bars is None:
            self.log(name, f"step {step:,}: {self.scores[name]}")

    def prefix(self, name: str) -> str:
        return f"{name}: " if len(self.runs) > 1 else ""


def clock(seconds: float) -> str:
    """75 -> "1:15"; 3700 -> "1:01:40"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _bars(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            if speed is None:
                return Text("")
            slow = f"{1 / max(speed, 1e-9):.1f} s each"
            return Text(f"{speed:.1f}/s" if speed >= 1 else slow, style="dim")

    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[figures]}"),
        console=console,
        expand=True,
        refresh_per_second=4,
    )
