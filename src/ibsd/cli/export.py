"""`ibsd export`: trained networks for other runtimes, each with its parity certificate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter


def export(
    weights: Path,
    *,
    format: Annotated[str, Parameter(alias="-f")],
    output: Annotated[Path | None, Parameter(alias="-o")] = None,
    int8: Annotated[bool, Parameter(negative="")] = False,
    force: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Make a model for another runtime from trained weights, of any picture size, and certify that
    it computes the same.

    For example:

    $ ibsd export last.safetensors --format openvino

    $ ibsd upscale photo.jpg -o large.png --weights last.xml

    $ ibsd export imdn-x4 --format ncnn -o imdn-x4.param

    The certificate (FILE.certificate.json) holds the sizes at which both ran, the largest
    difference and the PSNR to torch at each.

    A model that differs is not written, and the exit code is 1, because that is a defect of ibsd or
    of a converter, not yours.

    Parameters
    ----------
    weights:
        Weight file (.safetensors, or a published .pth), or a name from ibsd models.
    format:
        onnx, openvino, ncnn (for Upscayl and its like) or safetensors.
    output:
        The file to write; by default beside the weights, where ibsd upscale finds it, or in this
        folder for weights named as ibsd models does.
    int8:
        For onnx and openvino: 8 bits, calibrated on the photographs inside ibsd.
    force:
        Replace files that exist.
    json:
        Print the file and what the certificate compared as JSON.
    """
    from ibsd.cli.terminal import output_console, print_json, status_console
    from ibsd.export import ParityError, export_student

    with status_console().status("exporting"):
        try:
            written, checks = export_student(weights, format, output, int8=int8, force=force)
        except ParityError as error:
            print(f"ibsd: {error}", file=sys.stderr)
            return 1
    if json:
        print_json(
            {
                "file": written,
                "compared": {
                    precision: [vars(check) for check in made] for precision, made in checks.items()
                },
            }
        )
        return 0
    console = output_console()
    console.print(f"{weights} -> {written}", markup=False)
    for precision, made in checks.items():
        worst = min(check.psnr_db for check in made)
        largest = max(check.largest_difference for check in made)
        console.print(
            f"{precision}: {worst:.1f} dB or more to torch at {len(made)} sizes, "
            f"largest difference {largest:.1e}"
        )
    return 0
