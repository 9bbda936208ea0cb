"""The process that opens photographs and upscales them, so that neither a hostile file nor a long
job is the server's problem.

It reads one request a line (JSON) from its standard input and answers in lines on its standard
output: any number of `{"tiles": [done, all]}` and then one `{"done": ...}` or `{"error":
sentence}`. When its input ends, so does it, whatever it is doing.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ibsd.system import is_out_of_memory
from ibsd.types import InputError

if TYPE_CHECKING:
    import numpy as np

    from ibsd.inference.network import Network

Answer = dict[str, Any]
Tell = Callable[[Answer], None]

READ_ROWS = 256
DEFECT = "this photograph met a defect of ibsd; what it was stands where ibsd serve was started"


def look(request: Answer, tell: Tell) -> Answer:
    """Reads a photograph through, and makes the view of it as it came. Its size."""
    from ibsd.app.previews import View
    from ibsd.images import open_photograph

    photograph = open_photograph(request["source"])
    header, most = photograph.header, request["pixels"]
    if header.height * header.width > most:
        size = f"{header.width} x {header.height} pixels"
        raise InputError(
            f"the photograph has {size}, and this server takes {most / 1e6:g} megapixels: make it smaller, or use ibsd upscale"
        )
    view = View(Path(request["view"]), header)
    for top in range(0, header.height, READ_ROWS):
        view.add(photograph.read(min(READ_ROWS, header.height - top)))
    view.close()
    return {"width": header.width, "height": header.height}


def describe(request: Answer, tell: Tell) -> Answer:
    """Network and scale of a weight file."""
    descriptor = network(request["weights"]).descriptor
    return {"network": descriptor.name, "scale": descriptor.scale}


def upscale(request: Answer, tell: Tell) -> Answer:
    """Upscales a photograph that was looked at, and makes the view of the result. What its format
    could not keep."""
    from ibsd.app.previews import View
    from ibsd.images import check_writable, open_photograph, write_photograph
    from ibsd.upscaling.strips import upscaled_strips

    target = Path(request["target"])
    student = network(request["weights"])
    photograph = open_photograph(request["source"])
    header = photograph.header.upscaled(student.scale)
    note = check_writable(target, header)
    view = View(Path(request["view"]), header)

    def shown(strips: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for strip in strips:
            view.add(strip)
            yield strip

    strips = upscaled_strips(
        photograph, student, on_tile=lambda done, total: tell({"tiles": [done, total]})
    )
    write_photograph(target, header, shown(strips))
    view.close()
    stored = sum(
        file.stat().st_size for file in target.parent.rglob("*") if file != Path(request["source"])
    )
    return {
        "note": note,
        "bytes": target.stat().st_size,
        "stored": stored,
        "width": header.width,
        "height": header.height,
    }


@lru_cache(maxsize=1)
def network(weights: str) -> Network:
    """The network that was used last stays in memory."""
    from ibsd.inference.open import open_network

    return open_network(weights, log=lambda sentence: print(sentence, file=sys.stderr))


VERBS: dict[str, Callable[[Answer, Tell], Answer]] = {
    "look": look,
    "describe": describe,
    "upscale": upscale,
}


def main() -> None:
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    if hasattr(os, "nice"):
        os.nice(5)  # the page comes first
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            requests.put(line)
        os._exit(0)

    def tell(answer: Answer) -> None:
        print(json.dumps(answer), file=channel, flush=True)

    threading.Thread(target=read, daemon=True).start()
    while True:
        request = json.loads(requests.get())
        try:
            tell({"done": VERBS[request["do"]](request, tell)})
        except InputError as error:
            tell({"error": str(error)})
        except Exception as error:
            if is_out_of_memory(error):
                tell({"error": "there is not enough memory for this photograph: make it smaller"})
                continue
            traceback.print_exc()
            tell({"error": DEFECT})


if __name__ == "__main__":
    main()
