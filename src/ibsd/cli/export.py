"""`ibsd export`: trained networks for other runtimes, each with its parity certificate."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ibsd.cli.options import Flag, Output


def export(
    weights: Path,
    *,
    format: Annotated[str, Parameter(alias="-f")],
    output: Output = None,
    int8: Flag = False,
    force: Flag = False,
    json: Flag = False,
) -> int:
    """Write trained weights as a model for another runtime, and certify that it computes the same.

    For example:

    $ ibsd export last.safetensors --format openvino

    $ ibsd upscale photo.jpg -o large.png --weights last.xml

    $ ibsd export imdn-x4 --format web -o site/

    $ ibsd export imdn-x4 --format ncnn -o imdn-x4.param

    The model takes images of any size. Its certificate, FILE.certificate.json, holds the largest
    difference and the PSNR to torch at several sizes.

    A model that differs is not written. That is a defect of ibsd or of a converter, so the exit
    code is 1.

    Parameters
    ----------
    weights:
        Weight file (.safetensors, or a published .pth), or a name from ibsd models.
    format:
        onnx, openvino, ncnn (for Upscayl and its like), safetensors, or web: a static page that
        upscales in the visitor's browser.
    output:
        The file to write, or a folder for it. Default: beside the weights, where ibsd upscale
        finds it; for names from ibsd models, in the current folder.
    int8:
        For onnx and openvino: 8 bits, calibrated on the photographs inside ibsd.
    force:
        Replace files that exist.
    json:
        Print the file and the comparisons as JSON.
    """
    from ibsd.cli.terminal import print_json, print_line, status
    from ibsd.export.web import shipped_site

    if format == "web" and not int8 and (made := shipped_site(weights, output, force)):
        folder, certificate = made
        if json:
            print_json({"file": folder, "certificate": certificate})
        else:
            print_line(f"{weights} -> {folder}, for any web server; its model is certified")
        return 0

    from ibsd.export import ParityError, export_student

    with status("exporting"):
        try:
            written, checks = export_student(weights, format, output, int8=int8, force=force)
        except ParityError as error:
            print(f"ibsd: {error}", file=sys.stderr)
            return 1
    if json:
        compared = {precision: [*map(vars, made)] for precision, made in checks.items()}
        print_json({"file": written, "compared": compared})
        return 0
    print_line(f"{weights} -> {written}")
    for precision, made in checks.items():
        worst = min(check.psnr_db for check in made)
        largest = max(check.largest_difference for check in made)
        print_line(
            f"{precision}: {worst:.1f} dB or more to torch at {len(made)} sizes, "
            f"largest difference {largest:.1e}"
        )
    return 0
