"""The addresses of the server: the page, its stream of events, uploads, previews and results."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ibsd.app.archive import zip_stream
from ibsd.app.jobs import MIDDLE, Centre, FullError, Job, JobQueue, Session
from ibsd.app.limits import ServerLimits
from ibsd.app.offered_weights import OfferedWeights
from ibsd.app.uploads import MEDIA_TYPES, check_media_type, plain_name, receive, result_suffix
from ibsd.types import InputError

_ASSETS = {
    "page.css": ("text/css", (("ibsd.reporting", "page.css"), ("ibsd.app", "app.css"))),
    "page.js": ("text/javascript", (("ibsd.reporting", "slider.js"), ("ibsd.app", "app.js"))),
    "cards.js": ("text/javascript", (("ibsd.app", "cards.js"),)),
    "": ("text/html", (("ibsd.app", "page.html"),)),
}
SECONDS_BETWEEN_EVENTS = 0.1
HEARTBEAT_SECONDS = 10.0
_SESSION_KEY = re.compile(r"[0-9a-f]{32}")
_PREVIEW_NAMES = {
    "before": re.compile(r"overview|\d{1,5}-\d{1,5}"),
    "after": re.compile(r"overview|\d{1,5}-\d{1,5}"),
    "part": re.compile(r"[\w-]{11}-(before|after)", re.ASCII),
}
_ERRORS = {
    404: ("Not Found", "there is nothing under this address"),
    405: ("Method Not Allowed", "this address does not take that method"),
}
"""Starlette's sentence for a status, and ours."""
_DEFECT = {
    "error": "this is a defect of ibsd; "
    "the details are in the terminal where ibsd serve was started"
}


def create_application(
    home: Path, weights: Mapping[str, OfferedWeights], limits: ServerLimits
) -> Starlette:
    """The web application.

    Args:
        home: a private folder that exists, for uploads and results.
        weights: to choose from, by key.
    """
    jobs = JobQueue(home, limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        describing = asyncio.create_task(describe_weights(jobs, weights))
        yield
        describing.cancel()
        await jobs.close()

    application = Starlette(
        routes=[
            Route("/", asset),
            Route("/page.css", asset),
            Route("/page.js", asset),
            Route("/cards.js", asset),
            Route("/events", events),
            Route("/jobs", upload, methods=["POST"]),
            Route("/jobs/{key}", remove, methods=["DELETE"]),
            Route("/jobs/{key}/cancel", cancel, methods=["POST"]),
            Route("/jobs/{key}/again", again, methods=["POST"]),
            Route("/jobs/{key}/part", part, methods=["POST"]),
            Route("/jobs/{key}/whole", whole, methods=["POST"]),
            Route("/jobs/{key}/result", result),
            Route("/results", results),
            Route("/jobs/{key}/{side:str}/{name:str}", preview),
        ],
        lifespan=lifespan,
        exception_handlers={
            HTTPException: answer_error,
            FullError: answer_full,
            Exception: answer_defect,
        },
    )
    application.state.jobs = jobs
    application.state.weights = weights
    return application


async def answer_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    default, sentence = _ERRORS.get(error.status_code, ("", error.detail))
    text = sentence if error.detail == default else error.detail
    return JSONResponse({"error": text}, error.status_code, headers=error.headers)


async def answer_full(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 503, headers={"Retry-After": "30"})


async def answer_defect(_: Request, __: Exception) -> Response:
    return JSONResponse(_DEFECT, 500)


async def describe_weights(jobs: JobQueue, weights: Mapping[str, OfferedWeights]) -> None:
    """Lets a worker read the weights whose header says too little. Weights that it cannot read stay
    without a scale and are not offered."""
    for offered in weights.values():
        if offered.scale is None:
            request = {"verb": "describe", "weights": str(offered.file)}
            try:
                network = await jobs.reader.request(request, jobs.limits.read_seconds)
            except InputError:
                continue
            offered.scale = network["scale"]
            offered.network = network["network"]
            jobs.notify()


@cache
def read_asset(name: str) -> tuple[str, bytes]:
    """Media type and content of a file of the page."""
    media_type, parts = _ASSETS[name]
    contents = [files(package).joinpath(file).read_bytes() for package, file in parts]
    return media_type, b"\n".join(contents)


async def asset(request: Request) -> Response:
    """GET /, /page.css, /page.js, /cards.js: the page itself."""
    media_type, content = read_asset(request.url.path.lstrip("/"))
    return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})


async def events(request: Request) -> Response:
    """GET /events?session=: the state of one page as server-sent events, whenever a job changes."""
    key = request.query_params.get("session", "")
    if not _SESSION_KEY.fullmatch(key):
        raise HTTPException(400, "the session must be 32 hexadecimal digits: reload the page")
    jobs = _jobs(request)
    jobs.check_session(key)

    async def stream() -> AsyncIterator[str]:
        with jobs.listen(key) as session:
            while True:
                try:
                    await asyncio.wait_for(session.changed.wait(), HEARTBEAT_SECONDS)
                except TimeoutError:
                    yield ": still here\n\n"
                    continue
                session.changed.clear()
                state = page_state(jobs, session, request.app.state.weights)
                yield f"data: {json.dumps(state)}\n\n"
                await asyncio.sleep(SECONDS_BETWEEN_EVENTS)

    return StreamingResponse(
        stream(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
    )


def page_state(
    jobs: JobQueue, session: Session, weights: Mapping[str, OfferedWeights]
) -> dict[str, Any]:
    """All that a page shows: limits, weights and jobs."""
    limits = {name: getattr(jobs.limits, name) for name in ("upload_bytes", "pixels", "jobs")}
    shown = ("name", "scale", "network", "aim", "has_crisp")
    return {
        "limits": limits,
        "weights": [
            {"key": key, **{name: getattr(offered, name) for name in shown}}
            for key, offered in weights.items()
            if offered.scale is not None
        ],
        "jobs": jobs.as_json(session),
    }


async def upload(request: Request) -> Response:
    """POST /jobs?session=&name=&weights=&look=&format=&part=: a photograph as the request's body.
    With part=1 the middle of a large one comes before the whole."""
    jobs = _jobs(request)
    query = request.query_params
    session = jobs.sessions.get(query.get("session", ""))
    if session is None:
        raise HTTPException(409, "this page is no longer known here: reload it")
    check_media_type(request)
    offered = _offered(request)
    look = asked_look(request, offered)
    name = plain_name(query.get("name", ""))
    suffix = result_suffix(name, query.get("format", ""))
    centre = MIDDLE if query.get("part") else None
    with jobs.upload(session) as folder:
        await receive(request, folder / "input", jobs.limits)
        if not jobs.knows(session):
            raise HTTPException(409, "this page was closed meanwhile: reload it")
        job = jobs.add(session, folder, name, offered, suffix, centre, look)
    return JSONResponse({"key": job.key}, 201)


def _offered(request: Request) -> OfferedWeights:
    """The weights that a request asks for. HTTPException if there are none."""
    weights: Mapping[str, OfferedWeights] = request.app.state.weights
    offered = weights.get(request.query_params.get("weights", ""))
    if offered is None or offered.scale is None:
        raise HTTPException(400, "these weights are not offered here: choose some from the list")
    return offered


def asked_look(request: Request, offered: OfferedWeights) -> float:
    """The look that a request asks for, in [0, 1]; 0 without one. HTTPException for any other."""
    try:
        look = float(request.query_params.get("look") or 0)
    except ValueError:
        look = -1
    if not 0 <= look <= 1:
        raise HTTPException(400, "look must be a number from 0, faithful, to 1, crisp")
    if look and not offered.has_crisp:
        raise HTTPException(400, "these weights have no crisp ones to look like: leave out look")
    return look


async def again(request: Request) -> Response:
    """POST /jobs/{key}/again?weights=&look=&format=&part=: a photograph with other weights. With
    part=1 the part that was seen last, or the middle, comes before the whole."""
    session, job = _find_job(request)
    if job.state not in ("asking", "done", "failed", "cancelled") or job.size is None:
        raise HTTPException(409, "this photograph cannot be taken again now: drop it once more")
    offered = _offered(request)
    look = asked_look(request, offered)
    suffix = result_suffix(job.name, request.query_params.get("format", ""))
    jobs = _jobs(request)
    last: Centre = job.part["centre"] if job.part else MIDDLE
    centre = last if request.query_params.get("part") else None
    with jobs.upload(session) as folder:
        os.link(job.source, folder / "input")
        other = jobs.add(session, folder, job.name, offered, suffix, centre, look)
    return JSONResponse({"key": other.key}, 201)


async def part(request: Request) -> Response:
    """POST /jobs/{key}/part?x=&y=: another part, around (x, y) in [0, 1] across and down."""
    job = _asking(request)
    try:
        x, y = (float(request.query_params[name]) for name in ("x", "y"))
    except (KeyError, ValueError):
        raise HTTPException(400, "x and y must be numbers from 0 to 1") from None
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise HTTPException(400, "x and y must be numbers from 0 to 1")
    job.answers.put_nowait((x, y))
    return JSONResponse({"done": True})


async def whole(request: Request) -> Response:
    """POST /jobs/{key}/whole: upscale the whole photograph, of which a part was seen."""
    _asking(request).answers.put_nowait(None)
    return JSONResponse({"done": True})


def _asking(request: Request) -> Job:
    _, job = _find_job(request)
    if job.state != "asking" or job.answers.qsize():
        raise HTTPException(409, "no part of this photograph is shown now: wait for it")
    return job


async def remove(request: Request) -> Response:
    """DELETE /jobs/{key}"""
    session, job = _find_job(request)
    _jobs(request).remove(session, job)
    return JSONResponse({"done": True})


async def cancel(request: Request) -> Response:
    """POST /jobs/{key}/cancel"""
    _, job = _find_job(request)
    _jobs(request).cancel(job)
    return JSONResponse({"done": True})


async def result(request: Request) -> Response:
    """GET /jobs/{key}/result: the upscaled photograph."""
    _, job = _find_job(request)
    if job.state != "done":
        raise HTTPException(409, "this photograph is not done: wait for it")
    return FileResponse(job.target, media_type=MEDIA_TYPES[job.suffix], filename=job.result_name)


async def results(request: Request) -> Response:
    """GET /results?session=: all results of one page as a zip archive."""
    session = _jobs(request).sessions.get(request.query_params.get("session", ""))
    done = [job for job in session.jobs.values() if job.state == "done"] if session else []
    if not done:
        raise HTTPException(404, "nothing is done here yet: wait for it")
    return StreamingResponse(
        zip_stream([(job.result_name, job.target) for job in done]),
        media_type="application/zip",
        headers={"Content-Disposition": 'attachment; filename="photographs.zip"'},
    )


async def preview(request: Request) -> Response:
    """GET /jobs/{key}/before|after/overview|ROW-COLUMN: an overview or a tile.
    GET /jobs/{key}/part/NAME-before|after: a part."""
    _, job = _find_job(request)
    side = request.path_params["side"]
    name = request.path_params["name"]
    path = job.folder / side / f"{name}.jpg"
    names = _PREVIEW_NAMES.get(side)
    if names is None or not names.fullmatch(name) or not path.is_file():
        raise HTTPException(404)
    return FileResponse(
        path, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"}
    )


def _jobs(request: Request) -> JobQueue:
    return request.app.state.jobs


def _find_job(request: Request) -> tuple[Session, Job]:
    """The job of the address and its session. HTTPException 404 if there is none."""
    entry = _jobs(request).find(request.path_params["key"])
    if entry is None:
        raise HTTPException(
            404, "there is no such photograph here: it was removed, or its page was closed"
        )
    return entry
