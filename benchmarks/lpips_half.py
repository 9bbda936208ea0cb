"""How far the LPIPS weights inside the package, partly in half precision, are from the published
ones.

    python benchmarks/lpips_half.py lpips_alex_v0.1.safetensors --pictures ex_p0.png ex_ref.png
    ex_p1.png ex_ref.png --pairs test_LR test_HR

The first argument is the float32 weights (AlexNet of torchvision and the linear layers of LPIPS
v0.1, in one safetensors file). Prints LPIPS with both, and the largest difference; exit 1 if it
exceeds 1e-4.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from ibsd.data.pairs import find_pairs, load_pair
from ibsd.images.rgb import bicubic, read_rgb, to_tensor
from ibsd.metrics import Lpips

LIMIT = 1e-4


def compared(
    pictures: list[Path], folders: list[Path] | None
) -> Iterator[tuple[str, Tensor, Tensor]]:
    for picture, reference in zip(pictures[::2], pictures[1::2], strict=True):
        yield picture.name, to_tensor(read_rgb(picture)), to_tensor(read_rgb(reference))
    for pair in find_pairs(*folders) if folders else ():
        lr, hr = map(to_tensor, load_pair(pair))
        yield pair.name, bicubic(lr, hr.shape[-1] // lr.shape[-1]), hr


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path, help="float32 weights, .safetensors")
    parser.add_argument(
        "--pictures",
        type=Path,
        nargs="*",
        default=[],
        help="picture reference picture reference ...",
    )
    parser.add_argument(
        "--pairs",
        type=Path,
        nargs=2,
        metavar=("LR", "HR"),
        help="folders: bicubic of LR is compared with HR",
    )
    options = parser.parse_args()
    published, shipped = Lpips(load_file(options.weights)), Lpips()
    differences = []
    with torch.no_grad():
        for name, picture, reference in compared(options.pictures, options.pairs):
            expected, found = (
                published(picture, reference).item(),
                shipped(picture, reference).item(),
            )
            differences.append(abs(found - expected))
            print(
                f"{name:24} float32 {expected:.6f}  shipped {found:.6f}  "
                f"difference {differences[-1]:.1e}"
            )
    if not differences:
        parser.error("name something to compare: --pictures or --pairs")
    print(f"largest difference of {len(differences)}: {max(differences):.1e} (limit {LIMIT:.0e})")
    return int(max(differences) > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
