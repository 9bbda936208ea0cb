"""`ibsd serve`: a page in the browser, on this machine."""

from __future__ import annotations

import json as json_format
import math
import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ibsd.cli.options import Flag
from ibsd.types import InputError


def serve(
    *,
    weights: Annotated[list[Path] | None, Parameter(alias="-w", negative="")] = None,
    port: int = 8000,
    host: str = "127.0.0.1",
    name: Annotated[list[str] | None, Parameter(negative="")] = None,
    max_upload_mb: float = 200,
    max_megapixels: float = 64,
    max_photographs: int = 50,
    max_seconds: float = 3600,
    lost_seconds: float = 20,
    silence_seconds: float = 20,
    browser: bool = True,
    json: Flag = False,
) -> None:
    """Open a page on which photographs are dropped and come back larger.

    For example:

    $ ibsd serve

    $ ibsd serve --weights runs/demo/

    $ ibsd serve --weights last.safetensors --port 0

    Only this machine can open the page. Photographs stay on this machine, and they are deleted when
    the page or the server is closed. Ctrl-C ends the server.

    Parameters
    ----------
    weights:
        A weight file, an exported model, a folder of them, or a name from ibsd models. May be given
        several times. By default all weights that come with ibsd.
    port:
        Port of the page. 0 takes a free one.
    host:
        Address of the page. With any other than 127.0.0.1 other machines can open it, without a
        password.
    name:
        A name under which other machines reach this one, such as studio.local. May be given several
        times.
    max_upload_mb:
        Largest file, in megabytes.
    max_megapixels:
        Largest photograph, in megapixels.
    max_photographs:
        How many photographs all open pages may hold together.
    max_seconds:
        Longest time for one photograph, in seconds.
    lost_seconds:
        Seconds after which the photographs of a closed page are deleted.
    silence_seconds:
        Longest pause in an upload, in seconds.
    browser:
        Open the page in a browser, if ibsd was started in a terminal and there is a screen.
    json:
        Print the address as JSON when the page can be opened.
    """
    if missing := next(
        (package for package in ("starlette", "uvicorn") if find_spec(package) is None), None
    ):
        raise InputError(f"{missing} is not installed: pip install 'ibsd[app]'")
    if find_spec("fcntl") is None:
        raise InputError(
            "ibsd serve needs Linux or macOS: take ibsd upscale, or a page of "
            "ibsd export --format web"
        )
    if not 0 <= port < 65536:
        raise InputError(f"--port is {port}: choose 0 to 65535")
    settings = {
        "--max-upload-mb": max_upload_mb,
        "--max-megapixels": max_megapixels,
        "--max-photographs": max_photographs,
        "--max-seconds": max_seconds,
        "--lost-seconds": lost_seconds,
        "--silence-seconds": silence_seconds,
    }
    if wrong := next((key for key, value in settings.items() if not 0 < value < math.inf), None):
        raise InputError(f"{wrong} is {settings[wrong]:g}: it must be more than 0, and finite")
    from ibsd.app.limits import ServerLimits
    from ibsd.app.offered_weights import find_offered_weights
    from ibsd.app.server import serve as answer

    limits = ServerLimits(
        upload_bytes=round(1e6 * max_upload_mb),
        pixels=round(1e6 * max_megapixels),
        jobs=max_photographs,
        job_seconds=max_seconds,
        lost_seconds=lost_seconds,
        silence_seconds=silence_seconds,
    )

    def ready(address: str) -> None:
        if browser and not json and sys.stdout.isatty() and has_screen():
            import webbrowser

            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        print(
            json_format.dumps({"url": address})
            if json
            else f"ibsd is at {address} (Ctrl-C ends it)",
            flush=True,
        )

    answer(find_offered_weights(weights or []), limits, host, port, name or (), ready)


def has_screen() -> bool:
    """Whether a browser of this machine can show a page. Without a screen, Linux would start one in
    the terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
