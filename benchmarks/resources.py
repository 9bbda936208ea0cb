"""Resources that run out, files that vanish, signals, in real processes: `python
benchmarks/resources.py --output FILE`.

The cases and their laws stand in tests/faults/cases.py; `make test` runs the quick ones. `--only`
takes a part of a name.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from faults.cases import CASES
from faults.place import CannotMountError, Place


def tried(name: str) -> dict[str, Any]:
    """A case, its end, and what its processes came to."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder).resolve() / "place")
        started, broken = time.monotonic(), ""
        try:
            CASES[name](place)
        except CannotMountError as error:
            return {"skipped": str(error)}
        except Exception:
            broken = traceback.format_exc()
        found: dict[str, Any] = {
            "seconds": round(time.monotonic() - started, 1),
            "processes": len(place.ended),
        }
        found["most_mib"] = round(max((ended.memory_mib for ended in place.ended), default=0))
        found["says"] = sorted(
            {ended.last.replace(str(place.folder), ".") for ended in place.ended if ended.code}
        )
        return found | ({"broken": broken} if broken else {})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    cases: dict[str, dict[str, Any]] = {}
    for name in CASES:
        if options.only not in name:
            continue
        cases[name] = tried(name)
        endings = {"broken": "BROKEN", "skipped": "skipped"}
        ending = next((endings[key] for key in endings if key in cases[name]), "clear end")
        print(f"{name}: {ending}", flush=True)
        if "broken" in cases[name]:
            print(cases[name]["broken"], flush=True)
        if options.output:
            options.output.write_text(json.dumps({"cases": cases}, indent=1) + "\n")
    return any("broken" in each for each in cases.values())


if __name__ == "__main__":
    sys.exit(main())
