"""`ibsd demo`: see the whole of it work, in a few minutes, without any data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ibsd.types import InputError

if TYPE_CHECKING:
    from ibsd.comparison.pool import Event

DEFAULT_FOLDER = Path("runs/demo")


def demo(
    *,
    output: Annotated[Path, Parameter(alias="-o")] = DEFAULT_FOLDER,
    force: Annotated[bool, Parameter(negative="")] = False,
    steps: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Train on embedded photographs, score, upscale one more, and write a page about it.

    For example:

    $ ibsd demo

    It trains a small network with IBSD and, beside it, plainly for as many
    steps. That takes about three minutes on two cores, and no network.

    Parameters
    ----------
    output:
        Folder for everything that it makes; open report.html there.
    force:
        Replace an earlier demo in that folder.
    steps:
        Length of both trainings; by default as many as fit in the time.
    json:
        Print where everything is and the mean scores as JSON.
    """
    if steps is not None and steps < 1:
        raise InputError(f"--steps is {steps}: it must be at least 1")
    from ibsd.cli.evaluate import means
    from ibsd.cli.progress import TrainingProgress, clock
    from ibsd.cli.terminal import output_console, print_json, status_console
    from ibsd.commands.demo import METHODS, NUM_STEPS, run_demo
    from ibsd.reporting.demo import NO_CONCLUSION

    console = status_console()
    num_steps = steps or NUM_STEPS
    progress = TrainingProgress(dict.fromkeys(METHODS, num_steps), console)

    def on_event(method: str, event: Event) -> None:
        show: dict[str, Callable[..., None]] = {
            "log": progress.log,
            "step": progress.on_step,
            "validation": progress.on_validation,
        }
        show[event.kind](method, *event.values)

    with progress:
        result = run_demo(
            output,
            num_steps,
            force,
            lambda sentence: console.print(sentence, markup=False),
            on_event,
        )
    if json:
        table = {
            "means": result.table.means,
            "images": result.table.num_images,
            "scale": result.table.scale,
            "seconds": result.seconds,
        }
        print_json({"report": result.report, "picture": result.picture, **table})
        return
    out = output_console()
    out.print(means(result.table))
    out.print(f"[bold]{NO_CONCLUSION}[/]\n")
    out.print(f"done in {clock(result.seconds)}; open {result.report}", markup=False)
    out.print(f"the photograph before and after: {result.picture}", markup=False)
