"""`ibsd data preview`: what the presets make of a photograph, on one sheet."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from ibsd.types import InputError

STRENGTHS = (0.5, 1.0, 1.5)


def data(
    action: Literal["preview"],
    photograph: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    scale: int = 4,
    seed: int = 0,
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """See what training from photographs does to one: every preset at three strengths.

    For example:

    $ ibsd data preview photo.jpg -o preview.png

    The sheet shows the middle of the photograph, as LR enlarged without smoothing, and HR beside
    it.

    Parameters
    ----------
    action:
        preview.
    photograph:
        A sharp photograph.
    output:
        Where the sheet goes; by default the photograph's name with -preview.png in the current
        folder.
    scale:
        2, 3 or 4.
    seed:
        Another seed, another draw.
    force:
        Replace the sheet if it exists.
    json:
        Print what the sheet shows as JSON.
    """
    import numpy as np
    import torch

    from ibsd.cli.terminal import output_console, print_json, refuse_existing
    from ibsd.data.degradation import degrade
    from ibsd.data.presets import PRESETS
    from ibsd.images.rgb import read_rgb, to_array, to_tensor, write_rgb
    from ibsd.reporting.pictures import contact_sheet
    from ibsd.types import SCALES

    if scale not in SCALES:
        raise InputError(f"--scale is {scale}: choose one of {', '.join(map(str, SCALES))}")
    target = output or Path(f"{photograph.stem}-preview.png")
    refuse_existing([target], force)
    pixels = read_rgb(photograph)
    height, width = (min(side, 64 * scale) // scale * scale for side in pixels.shape[:2])
    if min(height, width) < 16 * scale:
        raise InputError(
            f"{photograph} has {pixels.shape[1]}x{pixels.shape[0]} pixels: "
            f"both sides need {16 * scale} at x{scale}"
        )
    top, left = (
        (side - cut) // 2 for side, cut in zip(pixels.shape[:2], (height, width), strict=True)
    )
    hr = to_tensor(pixels[top : top + height, left : left + width])
    rows: list[list[np.ndarray]] = []
    for preset in PRESETS.values():
        lrs = [
            degrade(hr, scale, preset, torch.Generator().manual_seed(seed), strength)
            for strength in STRENGTHS
        ]
        rows.append([*(to_array(lr).repeat(scale, 0).repeat(scale, 1) for lr in lrs), to_array(hr)])
    sheet = contact_sheet(rows, (*(f"strength {strength:g}" for strength in STRENGTHS), "HR"))
    write_rgb(target, sheet)
    if json:
        print_json(
            {
                "sheet": target,
                "rows": list(PRESETS),
                "strengths": STRENGTHS,
                "scale": scale,
                "seed": seed,
            }
        )
    else:
        output_console().print(f"{target}: rows {', '.join(PRESETS)}", markup=False)
