"""`ibsd serve`: a page in the browser, on this machine."""

from __future__ import annotations

import json as json_format
import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ibsd.types import InputError

Flag = Parameter(negative="")


def serve(
    *,
    weights: Annotated[list[Path] | None, Parameter(alias="-w")] = None,
    port: int = 8000,
    host: str = "127.0.0.1",
    name: Annotated[list[str] | None, Flag] = None,
    max_upload_mb: float = 200,
    max_megapixels: float = 64,
    max_photographs: int = 50,
    max_seconds: float = 3600,
    lost_seconds: float = 20,
    silence_seconds: float = 20,
    browser: bool = True,
    json: Annotated[bool, Flag] = False,
) -> None:
    """Open a page on which photographs are dropped and come back larger.

    For example:

    $ ibsd serve

    $ ibsd serve --weights runs/demo/

    $ ibsd serve --weights last.safetensors --port 0

    The page is for this machine alone; nothing that is dropped on it leaves it, and nothing is left
    of it when the page or the server is closed. Ctrl-C ends the server.

    Parameters
    ----------
    weights:
        Weight files, exported models, folders of them, and names from ibsd models; may be given
        several times. By default those that ibsd brings.
    port:
        Where to listen; 0 takes a free port.
    host:
        The address to listen on. Any other than 127.0.0.1 lets other machines in, without a
        password.
    name:
        A name under which other machines reach this one, if it is no number; may be given several
        times.
    max_upload_mb:
        Largest file, in megabytes.
    max_megapixels:
        Largest photograph that goes in.
    max_photographs:
        Most photographs on all pages together.
    max_seconds:
        Longest time at work on one photograph.
    lost_seconds:
        How long a page may be away until its photographs are removed.
    silence_seconds:
        Longest pause within an upload.
    browser:
        Whether the page opens by itself, where a person has started this and there is a screen.
    json:
        Print the address as JSON once the page answers.
    """
    if missing := next(
        (package for package in ("starlette", "uvicorn") if find_spec(package) is None), None
    ):
        raise InputError(f"{missing} is not installed: pip install 'ibsd[app]'")
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
    if wrong := next((key for key, value in settings.items() if not value > 0), None):
        raise InputError(f"{wrong} is {settings[wrong]:g}: it must be more than 0")
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
