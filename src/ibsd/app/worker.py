"""The process that reads and upscales photographs, so that a hostile file or a long job cannot harm
the server.

It reads one request a line (JSON) from its standard input. For each it writes lines to its standard
output: any number of `{"tiles": [done, all]}`, and then one `{"done": ...}` or
`{"error": sentence}`. It ends as soon as its input ends.
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
from typing import TYPE_CHECKING

from ibsd.system import is_disk_full, is_out_of_memory
from ibsd.types import InputError

if TYPE_CHECKING:
    import numpy as np

    from ibsd.app.worker_process import Message
    from ibsd.inference.network import Network

    Reply = Callable[[Message], None]

READ_ROWS = 256
DEFECT = (
    "a defect of ibsd stopped this photograph; "
    "the details are in the terminal where ibsd serve was started"
)


def read(request: Message, reply: Reply) -> Message:
    """Reads a photograph and writes its preview. Returns its size."""
    from ibsd.app.previews import Preview
    from ibsd.images import open_photograph

    photograph = open_photograph(request["source"])
    header = photograph.header
    max_pixels: int = request["max_pixels"]
    if header.height * header.width > max_pixels:
        raise InputError(
            f"the photograph has {header.width} x {header.height} pixels, and this server takes "
            f"{max_pixels / 1e6:g} megapixels: make it smaller, or use ibsd upscale"
        )
    preview = Preview(Path(request["preview"]), header)
    for top in range(0, header.height, READ_ROWS):
        preview.add(photograph.read(min(READ_ROWS, header.height - top)))
    preview.close()
    return {"width": header.width, "height": header.height}


def describe(request: Message, reply: Reply) -> Message:
    """Name and scale of the network in a weight file. No fast model is made of it: photographs wait
    meanwhile."""
    from ibsd.inference.open import open_network

    descriptor = open_network(request["weights"]).descriptor
    return {"network": descriptor.name, "scale": descriptor.scale}


def part(request: Message, reply: Reply) -> Message:
    """Upscales a part of a photograph that was read, as `write_part`."""
    from ibsd.app.parts import write_part
    from ibsd.images import open_photograph

    student = network(request["weights"], request["look"])
    photograph = open_photograph(request["source"])
    return write_part(
        photograph, student, request["centre"], Path(request["folder"]), request["name"]
    )


def upscale(request: Message, reply: Reply) -> Message:
    """Upscales a photograph that was read, and writes the preview of the result. Returns the
    result's size, and what its format could not keep."""
    from ibsd.app.previews import Preview
    from ibsd.images import check_writable, open_photograph, write_photograph
    from ibsd.upscaling.strips import upscaled_strips

    source = Path(request["source"])
    target = Path(request["target"])
    student = network(request["weights"], request["look"])
    photograph = open_photograph(source)
    header = photograph.header.upscaled(student.scale)
    note = check_writable(target, header)
    preview = Preview(Path(request["preview"]), header)

    def previewed(strips: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        for strip in strips:
            preview.add(strip)
            yield strip

    def on_tile(done: int, total: int) -> None:
        reply({"tiles": [done, total]})

    write_photograph(
        target, header, previewed(upscaled_strips(photograph, student, on_tile=on_tile))
    )
    preview.close()
    return {
        "note": note,
        "bytes": target.stat().st_size,
        "stored": sum(file.stat().st_size for file in target.parent.rglob("*")),
        "width": header.width,
        "height": header.height,
    }


@lru_cache(maxsize=1)
def network(weights: str, look: float = 0.0) -> Network:
    """The network that was used last stays in memory."""
    from ibsd.commands.fast_weights import fast_weights
    from ibsd.inference.open import open_network

    def log(sentence: str) -> None:
        print(sentence, file=sys.stderr)

    return open_network(fast_weights(weights, log=log), look=look, log=log)


VERBS: dict[str, Callable[[Message, Reply], Message]] = {
    "read": read,
    "describe": describe,
    "part": part,
    "upscale": upscale,
}


def main() -> None:
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what libraries print must not mix with the replies
    if hasattr(os, "nice"):
        os.nice(5)  # the page comes first
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read_requests() -> None:
        for line in sys.stdin:
            requests.put(line)
        os._exit(0)

    def reply(message: Message) -> None:
        print(json.dumps(message), file=channel, flush=True)

    threading.Thread(target=read_requests, daemon=True).start()
    while True:
        reply(answer(json.loads(requests.get()), reply))


def answer(request: Message, reply: Reply) -> Message:
    """The last line for a request. `reply` takes those before it."""
    try:
        return {"done": VERBS[request["verb"]](request, reply)}
    except InputError as error:
        return {"error": str(error)}
    except Exception as error:
        if is_out_of_memory(error):
            return {"error": "there is not enough memory for this photograph: make it smaller"}
        if is_disk_full(error):
            return {"error": "there is no space left on this server: remove some photographs"}
        traceback.print_exc()
        return {"error": DEFECT}


if __name__ == "__main__":
    main()
