"""The addresses of the server: the page, its stream of news, uploads, views and results."""

from __future__ import annotations

import asyncio
import json
import re
import unicodedata
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ibsd.app.jobs import Desk, FullError, Job, Session
from ibsd.app.limits import Limits
from ibsd.app.weights import Choice
from ibsd.types import InputError

ENDINGS = ("jpg", "png", "webp", "tiff", "avif")
"""What a result can be, besides what its photograph is."""
OWN_ENDINGS = {".jpeg": ".jpg", ".tif": ".tiff", ".heic": ".jpg", ".heif": ".jpg", ".bmp": ".png"}
KINDS = {
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".tiff": "image/tiff",
    ".avif": "image/avif",
}
ASSETS = {
    "page.css": ("text/css", (("ibsd.reporting", "page.css"), ("ibsd.app", "app.css"))),
    "page.js": ("text/javascript", (("ibsd.reporting", "slider.js"), ("ibsd.app", "app.js"))),
    "": ("text/html", (("ibsd.app", "page.html"),)),
}
BUFFER_BYTES = 1_000_000
LONGEST_NAME = 120
SECONDS_BETWEEN_NEWS, HEARTBEAT_SECONDS = 0.1, 10.0
SESSION = re.compile(r"[0-9a-f]{32}")


def create_site(home: Path, choices: Mapping[str, Choice], limits: Limits) -> Starlette:
    """The application.

    Args:
        home: a private folder that exists, for uploads and results.
        choices: weights to pick, by key.
    """
    desk = Desk(home, limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        describing = asyncio.create_task(describe(desk, choices))
        yield
        describing.cancel()
        await desk.close()

    routes = [
        Route("/", asset),
        Route("/page.css", asset),
        Route("/page.js", asset),
        Route("/events", events),
        Route("/jobs", upload, methods=["POST"]),
        Route("/jobs/{key}", remove, methods=["DELETE"]),
        Route("/jobs/{key}/cancel", cancel, methods=["POST"]),
        Route("/jobs/{key}/result", result),
        Route("/jobs/{key}/{side:str}/{name:str}", view),
    ]
    site = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={HTTPException: refuse, Exception: apologise},
    )
    site.state.desk, site.state.choices, site.state.limits = desk, choices, limits
    return site


async def refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = (
        error.detail if error.status_code not in (404, 405) or " " in error.detail.strip() else ""
    )
    default = {
        404: "there is nothing under this address",
        405: "this address does not take that method",
    }
    text = (
        sentence
        if sentence and sentence not in ("Not Found", "Method Not Allowed")
        else default.get(error.status_code, error.detail)
    )
    return JSONResponse({"error": text}, error.status_code, headers=error.headers)


async def apologise(_: Request, __: Exception) -> Response:
    return JSONResponse(
        {"error": "this is a defect of ibsd; what it was stands where ibsd serve was started"}, 500
    )


async def describe(desk: Desk, choices: Mapping[str, Choice]) -> None:
    """Asks a worker about the weights that do not say what they are; unreadable ones stay without a
    scale and are not offered."""
    for choice in choices.values():
        if choice.scale is None:
            try:
                found = await desk.looker.ask(
                    {"do": "describe", "weights": str(choice.file)}, desk.limits.look_seconds
                )
            except InputError:
                continue
            choice.scale, choice.network = found["scale"], found["network"]
            desk.tell()


@cache
def read_asset(name: str) -> tuple[str, bytes]:
    kind, parts = ASSETS[name]
    return kind, b"\n".join(files(package).joinpath(file).read_bytes() for package, file in parts)


async def asset(request: Request) -> Response:
    kind, content = read_asset(request.url.path.lstrip("/"))
    return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})


async def events(request: Request) -> Response:
    """The news of one page as server-sent events: limits and weights, and every job whenever one
    has changed."""
    key = request.query_params.get("session", "")
    if not SESSION.fullmatch(key):
        raise HTTPException(400, "the session must be 32 hexadecimal digits: reload the page")
    desk: Desk = request.app.state.desk
    if key not in desk.sessions and len(desk.sessions) >= desk.limits.sessions:
        raise HTTPException(503, "too many pages are open on this server: close one of them")

    async def news() -> AsyncIterator[str]:
        with desk.listening(key) as session:
            while True:
                try:
                    await asyncio.wait_for(session.changed.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                session.changed.clear()
                yield f"data: {json.dumps(told(request, desk, session))}\n\n"
                await asyncio.sleep(SECONDS_BETWEEN_NEWS)

    return StreamingResponse(
        news(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


def told(request: Request, desk: Desk, session: Session) -> dict[str, Any]:
    limits = desk.limits
    return {
        "limits": {
            "upload_bytes": limits.upload_bytes,
            "pixels": limits.pixels,
            "jobs": limits.jobs,
        },
        "weights": [
            {
                "key": key,
                "name": choice.name,
                "scale": choice.scale,
                "network": choice.network,
                "aim": choice.aim,
            }
            for key, choice in request.app.state.choices.items()
            if choice.scale is not None
        ],
        "jobs": desk.told(session),
    }


async def upload(request: Request) -> Response:
    """A photograph as the body of the request; its name, the weights and the format are in the
    address."""
    desk: Desk = request.app.state.desk
    query = request.query_params
    session = desk.sessions.get(query.get("session", ""))
    if session is None:
        raise HTTPException(409, "this page is not known here any more: reload it")
    kind = (
        request.headers.get("content-type", "application/octet-stream")
        .split(";")[0]
        .strip()
        .lower()
    )
    if kind != "application/octet-stream" and not kind.startswith("image/"):
        raise HTTPException(
            415,
            f"{plain_name(kind)} is no kind of image: send the photograph itself as the body of the request",
        )
    choice = request.app.state.choices.get(query.get("weights", ""))
    if choice is None or choice.scale is None:
        raise HTTPException(400, "these weights are not offered here: pick some from the list")
    name = plain_name(query.get("name", ""))
    ending = result_ending(name, query.get("format", ""))
    try:
        with desk.arrival(session) as folder:
            await receive(request, folder / "input", desk.limits)
            job = desk.admit(session, folder, name, choice, ending)
    except FullError as error:
        raise HTTPException(503, str(error), {"Retry-After": "30"}) from None
    return JSONResponse({"key": job.key}, 201)


async def receive(request: Request, path: Path, limits: Limits) -> None:
    """Writes the body into a file. HTTPException where it is too large, too slow, empty, or breaks
    off."""
    too_large = HTTPException(
        413,
        f"the file is larger than {limits.upload_bytes / 1e6:g} MB, the most this server takes: make it smaller",
    )
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.upload_bytes:
        await drain(request, limits)
        raise too_large
    taken, buffer = 0, bytearray()
    chunks = request.stream()
    try:
        async with asyncio.timeout(limits.upload_seconds):
            with open(path, "xb") as file:
                while True:
                    async with asyncio.timeout(limits.silence_seconds):
                        chunk = await anext(chunks, b"")
                    if not chunk:
                        break
                    taken += len(chunk)
                    if taken > limits.upload_bytes:
                        raise too_large
                    buffer += chunk
                    if len(buffer) >= BUFFER_BYTES:
                        await asyncio.to_thread(file.write, bytes(buffer))
                        buffer.clear()
                await asyncio.to_thread(file.write, bytes(buffer))
    except TimeoutError:
        raise HTTPException(
            408,
            "the photograph arrived too slowly or not at all: try again",
            {"Connection": "close"},
        ) from None
    except ClientDisconnect:
        raise HTTPException(400, "the photograph broke off on its way: try again") from None
    except OSError as error:
        raise HTTPException(
            507,
            f"the photograph cannot be kept here ({error.strerror}): free some space and try again",
        ) from None
    if not taken:
        raise HTTPException(400, "the file is empty: choose another one")


async def drain(request: Request, limits: Limits) -> None:
    """Lets what is announced as too large go by for a moment: who is still sending reads no
    answer."""
    left = 2 * limits.upload_bytes
    try:
        async with asyncio.timeout(limits.silence_seconds):
            async for chunk in request.stream():
                left -= len(chunk)
                if left < 0:
                    return
    except (TimeoutError, ClientDisconnect):
        pass


def plain_name(name: str) -> str:
    """A name to show and to suggest for saving: the last part of a path, without what is no letter
    to look at."""
    last = re.split(r"[\\/]", unicodedata.normalize("NFC", name))[-1]
    shown = "".join(
        letter for letter in last if unicodedata.category(letter)[0] not in "CZ" or letter == " "
    ).strip(" .")
    stem, dot, ending = shown.rpartition(".")
    return (
        f"{stem[: LONGEST_NAME - 6]}{dot}{ending[:5]}" if dot else shown[:LONGEST_NAME]
    ) or "photograph"


def result_ending(name: str, wanted: str) -> str:
    """With its dot. HTTPException for a format that nobody offers."""
    if wanted:
        if wanted not in ENDINGS:
            raise HTTPException(
                400,
                f"the format must be one of {', '.join(ENDINGS)}, or nothing for the photograph's own",
            )
        return f".{wanted}"
    own = Path(name).suffix.lower()
    own = OWN_ENDINGS.get(own, own)
    return own if own in KINDS else ".png"


def found(request: Request) -> tuple[Session, Job]:
    known = request.app.state.desk.find(request.path_params["key"])
    if known is None:
        raise HTTPException(
            404, "there is no such photograph here: it was removed, or its page was closed"
        )
    return known


async def remove(request: Request) -> Response:
    request.app.state.desk.remove(*found(request))
    return JSONResponse({"done": True})


async def cancel(request: Request) -> Response:
    request.app.state.desk.cancel(found(request)[1])
    return JSONResponse({"done": True})


async def result(request: Request) -> Response:
    job = found(request)[1]
    if job.state != "done":
        raise HTTPException(409, "this photograph is not done: wait for it")
    return FileResponse(job.target, media_type=KINDS[job.ending], filename=job.result_name)


async def view(request: Request) -> Response:
    """An overview or a tile, before or after."""
    job, side, name = found(request)[1], request.path_params["side"], request.path_params["name"]
    if side not in ("before", "after") or not re.fullmatch(r"overview|\d{1,5}-\d{1,5}", name):
        raise HTTPException(404)
    path = job.folder / side / f"{name}.jpg"
    if not path.is_file():
        raise HTTPException(404)
    return FileResponse(
        path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"}
    )
