"""Collections of photographs on the machines of a Ray cluster (the extra `cluster`).

- `arrow.py`: pyarrow, which has no types.
- `store.py`: object stores, by addresses. `folder.py`: a manifest's folder, there or on a disk.
- `listing.py`: which files become which, as a table of names: nothing is opened or looked at.
- `manifest.py`: what became of each file, in parts of Parquet that are only ever added.
- `tars.py`: results in tars.
- `worker.py`: an actor that holds the opened network and upscales one file a call.
- `metrics.py`: counts for Ray's dashboard.
- `engine.py`: connects to Ray, hands files to workers, and replaces workers that die.
- `tasks.py`: one function for many items, for commands that need no open network.

Ray starts the processes and moves the calls; docs/decisions/0120-cluster.md says why no more of it
is used. Nothing here is imported by a run on one machine. A cluster runs what it is sent: connect
only to one that you trust.
"""

from importlib.util import find_spec
from typing import NamedTuple

from ibsd.types import InputError


class Failed(NamedTuple):
    """What a task without a value returns. The others go on."""

    reason: str


def require_ray() -> None:
    """InputError if a package of the extra is not installed. Imports none of them."""
    for package in ("ray", "pyarrow", "fsspec"):
        if find_spec(package) is None:
            raise InputError(
                f"{package} is not installed, and --cluster needs it: pip install 'ibsd[cluster]'"
            )
