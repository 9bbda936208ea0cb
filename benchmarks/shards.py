"""Do patches from shards come as fast as from photographs in memory?

    python benchmarks/shards.py PHOTOGRAPHS -o benchmarks/results/NAME.json [--clock cpu]

PHOTOGRAPHS is a folder. Shards of it are made first (the time of that is told), and the same crops
are put into memory. Then batches of both are made in turn, in one process, a whole turn of a shard
each time, so that every batch of shards bears its part of reading the next one. Batches have 16
patches (LR 48, x4) with the degradations of a preset. `clean` does least beside cutting, so it is
the hardest case. Prints and writes JSON.
"""

from __future__ import annotations

import json
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from timing import facts, in_turn, options

from ibsd.commands.shard import Sharding, make_shards
from ibsd.data.degraded_patches import PhotographPatches
from ibsd.data.image_stack import ImageStack
from ibsd.data.options import PatchOptions
from ibsd.data.patches import PatchSource
from ibsd.data.shard_patches import ShardPatches
from ibsd.data.shards import open_shards

SCALE, PRESETS = 4, ("clean", "camera")
OPTIONS = PatchOptions(16, 48)


def batches(source: PatchSource, count: int) -> None:
    for _ in range(count):
        source.next_batch()


def main() -> None:
    parser = options(__doc__, 9)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--shard-mib", type=int, default=32)
    given = parser.parse_args()
    device = torch.device(given.device)
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        how = Sharding(
            str(given.photographs), Path(folder), 384, 8, given.shard_mib, 0, 1, None, False
        )
        clock = time.process_time()
        made, settings = make_shards(how, lambda done, total: None)
        result = facts(given.clock, device) | {
            "photographs": settings["photographs"],
            "crops": sum(shard.crops for shard in made),
            "shards": len(made),
            "processor_seconds_a_photograph": round(
                (time.process_time() - clock) / settings["photographs"], 4
            ),
            "presets": {},
        }
        shards = open_shards(folder)
        flat = torch.cat([shards.read(place) for place in range(len(shards.shards))]).to(device)
        stack = ImageStack(flat, [(384, 384)] * result["crops"])
        for preset in PRESETS:
            how_cut = {preset: 1.0}, (0.0, 0.0), SCALE, OPTIONS, 0
            resident = PhotographPatches(stack, *how_cut)
            sharded = ShardPatches(shards, *how_cut, device=device)
            count = int(sharded.lengths.max())
            sources = {"resident": resident, "shards": sharded}
            works = {name: partial(batches, source, count) for name, source in sources.items()}
            spent = {
                name: times["median"] / count
                for name, times in in_turn(works, given.repeats, given.clock, device).items()
            }
            result["presets"][preset] = {
                "seconds_a_batch": {name: round(value, 5) for name, value in spent.items()},
                "throughput_of_shards_over_resident": round(spent["resident"] / spent["shards"], 3),
            }
    print(json.dumps(result, indent=1))
    given.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
