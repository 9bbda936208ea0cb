"""`ibsd specialise`: weights for the user's cameras that keep what the start could do."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ibsd.cli.options import Flag, require_folders
from ibsd.types import require

if TYPE_CHECKING:
    from ibsd.commands.specialise import Outcome

DEFAULT_WEIGHTS = "imdn-safe-x4"


def specialise(
    pairs: Path | None = None,
    /,
    *overrides: str,
    lr: Path | None = None,
    hr: Path | None = None,
    output: Annotated[Path, Parameter(alias="-o")],
    weights: str = DEFAULT_WEIGHTS,
    steps: int | None = None,
    resume: Flag = False,
    force: Flag = False,
    lpips: Annotated[bool, Parameter(negative="--no-lpips")] = True,
    json: Flag = False,
) -> int:
    """Make weights for your cameras out of weights that exist, from pairs of your cameras.

    For example:

    $ ibsd specialise pairs/ -o mine/

    $ ibsd specialise pairs/ -o mine/ --weights imdn-small-x4 data.drop=checkup/drop.txt

    It trains for a short while by IBSD, and then takes the mean of the weights before and after.
    So the network learns your cameras and keeps what it could do on others. At the end it shows
    both, on your test pairs and on the photographs inside ibsd.

    Ctrl-C saves a checkpoint and stops. The same command with --resume continues.

    Parameters
    ----------
    pairs:
        Folder of pairs, as ibsd train takes it: with train_LR and train_HR, and test_LR and
        test_HR to score on.
    overrides:
        Settings of the training that replace the recipe's: section.key=value.
    lr:
        Folder of LR images to train on, instead of the folder of pairs. data.val_lr=FOLDER and
        data.val_hr=FOLDER name images to score on.
    hr:
        Folder of HR images.
    output:
        Folder for specialised.safetensors, report.html, scores.json and the training, in run/.
    weights:
        Weights to start from, of the pairs' scale: a file, or a name that ibsd models lists.
    steps:
        Steps of the training. Default: 1200.
    resume:
        Continue the training from its newest intact checkpoint.
    force:
        Replace an earlier result in the output folder.
    lpips:
        Compute LPIPS, the slowest metric.
    json:
        Print the places of the results and the mean scores as JSON.
    """
    require("--steps", steps, steps is None or steps >= 1, "at least 1")
    if lr is not None and pairs is not None:
        overrides = (str(pairs), *overrides)
        pairs = None
    require_folders("specialise", pairs, lr, hr)
    from ibsd.cli.terminal import print_json, print_line, progress_bar
    from ibsd.cli.train import followed
    from ibsd.commands.specialise import NUM_STEPS, claim, outcome, specialise_config
    from ibsd.distributed import ALONE

    places = {"pairs": str(pairs)} if pairs else {"lr": str(lr), "hr": str(hr)}
    config = specialise_config(places, weights, output, steps or NUM_STEPS, overrides)
    claim(output, config, resume, force)
    result, _, code = followed(config, resume, ALONE)
    if not result.finished and json:
        print_json(vars(result))
        return code
    if not result.finished:
        named = [str(pairs)] if pairs else ["--lr", str(lr), "--hr", str(hr)]
        command = ["ibsd", "specialise", *named, *overrides, "-o", str(output)]
        command += ["--weights", weights] if weights != DEFAULT_WEIGHTS else []
        command += ["--steps", str(steps)] if steps else []
        num_steps = config.training.num_steps
        print_line(f"{result.reason} at step {result.step:,} of {num_steps:,}")
        print_line(f"go on with: {shlex.join([*command, '--resume'])}")
        return code
    with progress_bar("images") as on_image:
        made = outcome(config, lpips, on_image)
    if json:
        means = {title: table.means for title, table in made.tables.items()}
        written = {"weights": made.weights, "report": made.report}
        print_json(vars(result) | written | {"means": means, "notes": made.notes})
    else:
        show(made)
    return code


def show(made: Outcome) -> None:
    """The result for people."""
    from ibsd.cli.terminal import output_console, print_line, text_table
    from ibsd.evaluation.scores import BICUBIC
    from ibsd.reporting.specialise import SPECIALISED, START, gain_rows, titled

    console = output_console()
    for title, table in made.tables.items():
        header = ("", BICUBIC, START, SPECIALISED)
        console.print(text_table(header, gain_rows(table), titled(title, table)))
        console.print()
    for note in made.notes:
        print_line(f"note: {note}")
    print_line(f"weights: {made.weights}")
    print_line(f"report:  {made.report}")
    upscale = ["ibsd", "upscale", "photo.jpg", "-o", "photo-large.png", "--weights"]
    print_line(f"next:\n  {shlex.join([*upscale, str(made.weights)])}")
