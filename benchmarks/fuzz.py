"""Bad input at scale: `python benchmarks/fuzz.py --cases 10000 --output
benchmarks/results/fuzz-....json`. Cases and laws: tests/fuzzing/cases.py; with `--surroundings`
tests/fuzzing/surroundings.py."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import torch

from fuzzing.cases import MEMORY, SECONDS, Fuzzer, Outcome, Watch
from fuzzing.surroundings import SurroundingsFuzzer


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument(
        "--first",
        type=int,
        default=0,
        help="number of the first case; every number is the same case again",
    )
    parser.add_argument("--surroundings", action="store_true", help="cases of surroundings.py")
    parser.add_argument(
        "--no-models", action="store_true", help="their cache holds no fast model: starts sooner"
    )
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        if options.surroundings:
            fuzzer = SurroundingsFuzzer(place, Watch(), models=not options.no_models)
        else:
            fuzzer = Fuzzer(place, Watch())
        for seed in range(options.first, options.first + options.cases):
            outcomes.append(fuzzer.run(seed))
            if outcomes[-1].broken:
                print(f"case {seed} ({outcomes[-1].kind}): {outcomes[-1].broken}", flush=True)
    kinds = {}
    for kind in fuzzer.kinds:
        ours = [outcome for outcome in outcomes if outcome.kind == kind]
        kinds[kind] = {
            "cases": len(ours),
            "done": sum(outcome.code == 0 for outcome in ours),
            "refused": sum(outcome.code == 2 for outcome in ours),
            "slowest_seconds": round(max((outcome.seconds for outcome in ours), default=0), 2),
        }
    broken = [
        {"seed": outcome.seed, "kind": outcome.kind, "what": outcome.broken}
        for outcome in outcomes
        if outcome.broken
    ]
    result = {
        "seconds_allowed": SECONDS,
        "memory_allowed_mib": MEMORY // 2**20,
        "kinds": kinds,
        "broken": broken,
    }
    print(json.dumps(kinds, indent=1))
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
