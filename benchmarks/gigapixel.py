"""Time and memory of photographs of any size, through the same code as `ibsd upscale`.

    python benchmarks/gigapixel.py memory                             # 12,000 x 9,000 x4 through a
    network that is nearly free python benchmarks/gigapixel.py memory --size 6000x4000 --format jpg
    python benchmarks/gigapixel.py overhead --size 1536x1024          # a real network: from file to
    file against its tiles alone

`memory` makes a photograph (a random smooth picture with noise) in a temporary folder, upscales it
with a network that repeats pixels, in a process of its own, and prints that process's largest
resident size. `overhead` runs, in turn and in one process, all tiles of a photograph through the
network (made of the same rows, kept nowhere) and the photograph from file to file, and prints the
ratios of the medians: by the clock, and of processor time, which tells more where others compute
too. Prints one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import multiprocessing.connection
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from ibsd.images import PhotographHeader, open_photograph, write_photograph
from ibsd.inference.network import Network, NetworkDescriptor, torch_network
from ibsd.inference.open import open_network
from ibsd.system import largest_resident_bytes
from ibsd.upscaling import upscale_files
from ibsd.upscaling.strips import tiles_for
from ibsd.upscaling.tiling import spans

SCALE = 4


REPEAT = Network(
    NetworkDescriptor("repeat", SCALE, 27, pools_globally=True, minimum_size_px=1),
    lambda lr: lr.repeat(SCALE, 2).repeat(SCALE, 3),
)
"""Repeats every pixel; nearly free."""


def rows(width: int, height: int) -> Iterator[np.ndarray]:
    """A picture with large forms and noise, so that codecs have something to do."""
    generator = np.random.default_rng(0)
    columns = 90 * np.sin(np.arange(width) / 300)[None, :, None] + np.array([100, 120, 140])
    for top in range(0, height, 256):
        count = min(256, height - top)
        waves = 40 * np.cos(np.arange(top, top + count) / 170)[:, None, None]
        yield np.clip(columns + waves + generator.normal(0, 4, (count, width, 3)), 0, 255).astype(
            np.uint8
        )


def resident_gib() -> float:
    return largest_resident_bytes() / 2**30


def memory(source: Path, target: Path, pipe: multiprocessing.connection.Connection) -> None:
    before, started, cpu = resident_gib(), time.perf_counter(), time.process_time()
    (result,) = upscale_files([source], target, REPEAT)
    assert result.error is None, result.error
    pipe.send((before, resident_gib(), time.perf_counter() - started, time.process_time() - cpu))


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of all cores."""
    started, cpu = time.perf_counter(), time.process_time()
    call()
    return round(time.perf_counter() - started, 2), round(time.process_time() - cpu, 2)


def tiles_alone(network: Network, width: int, height: int, share: float) -> tuple[float, float]:
    """Seconds for the network's tiles of such a photograph, made of one picture again and again,
    nothing kept; by a share of their number."""
    tile_px, overlap_px, _ = tiles_for("auto", network)
    lr = next(rows(tile_px, tile_px)).transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    shape = min(tile_px, height), min(tile_px, width)
    lr = np.ascontiguousarray(lr[..., : shape[0], : shape[1]])
    number = len(spans(height, tile_px, overlap_px)) * len(spans(width, tile_px, overlap_px))
    counted = math.ceil(share * number)
    clock, cpu = timed(lambda: [network(lr) is None for _ in range(counted)])
    return round(clock * number / counted, 2), round(cpu * number / counted, 2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["memory", "overhead"])
    parser.add_argument("--size", default="12000x9000")
    parser.add_argument("--format", default="jpg")
    parser.add_argument("--output-format", default=None)
    parser.add_argument(
        "--width",
        type=int,
        default=64,
        help="overhead: channels of the IMDN (random weights: speed does not care)",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        help="overhead: a weight file or exported model in place of that IMDN",
    )
    parser.add_argument(
        "--share",
        type=float,
        default=1.0,
        help="overhead: time so much of the tiles alone, before and after, and scale it",
    )
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"photograph.{options.format}"
        target = Path(folder) / f"large.{options.output_format or options.format}"
        write_photograph(source, PhotographHeader(height, width), rows(width, height))
        found: dict[str, object] = {
            "what": options.what,
            "lr": [width, height],
            "format": options.format,
            "load": os.getloadavg()[0],
        }
        if options.what == "memory":
            context = multiprocessing.get_context("spawn")
            receiver, sender = context.Pipe(duplex=False)
            worker = context.Process(target=memory, args=(source, target, sender))
            worker.start()
            before, peak, seconds, cpu = receiver.recv()
            worker.join()
            header = open_photograph(target).header
            assert (header.width, header.height) == (width * SCALE, height * SCALE)
            found |= {
                "sr_gigapixels": round(header.width * header.height / 1e9, 3),
                "gib_after_imports": round(before, 3),
            }
            found |= {
                "peak_gib": round(peak, 3),
                "seconds": round(seconds, 1),
                "cpu_seconds": round(cpu, 1),
            }
            found |= {
                "lr_megabytes": source.stat().st_size // 10**6,
                "sr_megabytes": target.stat().st_size // 10**6,
            }
        else:
            import ibsd

            if options.weights:
                network = open_network(options.weights)
                engine = f"{network.backend} {network.precision}"
                name = f"{network.descriptor.name} x{network.scale}, {engine}"
                assert network.scale == SCALE, name
            else:
                network = torch_network(
                    ibsd.create_student("imdn", SCALE, width=options.width).eval()
                )
                name = f"imdn x4, width {options.width}"
            alone, whole = [], []
            for _ in range(options.repeats):
                alone.append(tiles_alone(network, width, height, options.share))
                whole.append(timed(lambda: upscale_files([source], target, network, force=True)))
                if options.share < 1:  # one on either side of what they are held against
                    alone.append(tiles_alone(network, width, height, options.share))
            found |= {
                "network": name,
                "share_of_tiles_alone": options.share,
                "tiles_alone_s": alone,
                "file_to_file_s": whole,
            }
            found |= {"peak_gib": round(resident_gib(), 3)}
            for k, kind in enumerate(("wall", "cpu")):
                ratio = statistics.median(each[k] for each in whole) / statistics.median(
                    each[k] for each in alone
                )
                found[f"ratio_of_{kind}_medians"] = round(ratio, 3)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
