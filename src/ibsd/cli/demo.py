"""`ibsd demo`: everything once, in a few minutes, without data of the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ibsd.cli.options import Flag
from ibsd.types import require

DEFAULT_FOLDER = Path("runs/demo")


def demo(
    *,
    output: Annotated[Path, Parameter(alias="-o")] = DEFAULT_FOLDER,
    force: Flag = False,
    steps: int | None = None,
    json: Flag = False,
) -> None:
    """Train on the photographs inside ibsd, score, upscale, and write a page about it.

    For example:

    $ ibsd demo

    It trains a small network twice, with IBSD and plainly, for equally many steps. That takes about
    three minutes on two cores. It needs no internet.

    Parameters
    ----------
    output:
        Folder for the results. Open report.html there.
    force:
        Replace an earlier demo in that folder.
    steps:
        Steps of both trainings. Default: 2200.
    json:
        Print the places of the results and the mean scores as JSON.
    """
    require("--steps", steps, steps is None or steps >= 1, "at least 1")
    from ibsd.cli.evaluate import means_table
    from ibsd.cli.progress import TrainingProgress, clock
    from ibsd.cli.terminal import output_console, print_json, print_line
    from ibsd.commands.demo import METHODS, NUM_STEPS, run_demo
    from ibsd.reporting.demo import NO_CONCLUSION

    num_steps = steps or NUM_STEPS
    with TrainingProgress(dict.fromkeys(METHODS, num_steps)) as progress:
        result = run_demo(output, num_steps, force, progress)
    if json:
        print_json(result.as_json())
        return
    console = output_console()
    console.print(means_table(result.table))
    console.print(f"[bold]{NO_CONCLUSION}[/]\n")
    print_line(f"done in {clock(result.seconds)}; open {result.report}")
    print_line(f"the photograph before and after: {result.picture}")
