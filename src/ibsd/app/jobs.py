"""Every page that is open, every photograph on it, and what becomes of each: looked at, waiting, at
work, done."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ibsd.app.limits import Limits
from ibsd.app.process import Answer, Worker
from ibsd.app.weights import Choice
from ibsd.types import InputError

State = Literal["looking", "waiting", "working", "done", "failed", "cancelled"]


class FullError(InputError):
    """Nothing more fits in now."""


@dataclass
class Job:
    """One photograph on its way."""

    key: str
    """Nobody can guess it: who knows it may have the photograph."""
    name: str
    """As the user calls it; only ever shown, never part of a path."""
    folder: Path
    choice: Choice
    ending: str
    """Of the result's name, with its dot."""
    state: State = "looking"
    tiles: tuple[int, int] = (0, 0)
    size: tuple[int, int] | None = None
    """Width and height of what came in."""
    result: Answer | None = None
    error: str = ""
    stored_bytes: int = 0
    """What there is of it on the disk."""
    task: asyncio.Task[None] | None = None

    @property
    def source(self) -> Path:
        return self.folder / "input"

    @property
    def target(self) -> Path:
        return self.folder / f"output{self.ending}"

    @property
    def result_name(self) -> str:
        return f"{Path(self.name).stem}_x{self.choice.scale}{self.ending}"

    def told(self, ahead: int) -> dict[str, Any]:
        """For the page; `ahead` photographs come before."""
        return {
            "key": self.key,
            "name": self.name,
            "state": self.state,
            "ahead": ahead,
            "tiles": self.tiles,
            "size": self.size,
            "scale": self.choice.scale,
            "weights": self.choice.name,
            "result": self.result and {**self.result, "name": self.result_name},
            "error": self.error,
        }


@dataclass
class Session:
    """One open page."""

    jobs: dict[str, Job] = field(default_factory=dict)
    arriving: int = 0
    streams: int = 0
    """Connections over which the page listens."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    farewell: asyncio.TimerHandle | None = None


class Desk:
    """Takes photographs in and gives results out.

    Args:
        home: a private folder that exists; every job has a folder of its own in it.
    """

    def __init__(self, home: Path, limits: Limits) -> None:
        self.home, self.limits = home, limits
        self.sessions: dict[str, Session] = {}
        self.looker, self.upscaler = Worker(limits.idle_seconds), Worker(limits.idle_seconds)

    @contextmanager
    def listening(self, key: str) -> Iterator[Session]:
        """While a page listens. When none does for `lost_seconds`, its session ends. FullError
        beyond the limit of sessions."""
        if key not in self.sessions and len(self.sessions) >= self.limits.sessions:
            raise FullError("too many pages are open on this server: close one of them")
        session = self.sessions.setdefault(key, Session())
        if session.farewell:
            session.farewell.cancel()
        session.streams += 1
        session.changed.set()
        try:
            yield session
        finally:
            session.streams -= 1
            if not session.streams:
                session.farewell = asyncio.get_running_loop().call_later(
                    self.limits.lost_seconds, self.end, key
                )

    def end(self, key: str) -> None:
        """Cancels what a session has at work and removes its photographs."""
        for job in list(self.sessions[key].jobs.values()):
            self.remove(self.sessions[key], job)
        del self.sessions[key]

    @contextmanager
    def arrival(self, session: Session) -> Iterator[Path]:
        """The folder of an upload that begins; it is removed unless `admit` took it. FullError
        where the queue or the disk is full."""
        present = sum(len(each.jobs) + each.arriving for each in self.sessions.values())
        if present >= self.limits.jobs:
            raise FullError(
                f"{present} photographs are here already, the most this server takes: take some away and try again"
            )
        if self.stored_bytes() > min(self.limits.stored_bytes, shutil.disk_usage(self.home).free):
            raise FullError(
                "the photographs here take all the room that this server has: take some away and try again"
            )
        folder = self.home / secrets.token_urlsafe(16)
        folder.mkdir(mode=0o700)
        session.arriving += 1
        try:
            yield folder
        finally:
            session.arriving -= 1
            if not any(job.folder == folder for job in session.jobs.values()):
                shutil.rmtree(folder, ignore_errors=True)

    def stored_bytes(self) -> int:
        return sum(
            job.stored_bytes for session in self.sessions.values() for job in session.jobs.values()
        )

    def admit(self, session: Session, folder: Path, name: str, choice: Choice, ending: str) -> Job:
        """A photograph that has arrived as `input` in its folder."""
        job = Job(folder.name, name, folder, choice, ending)
        job.stored_bytes = job.source.stat().st_size
        session.jobs[job.key] = job
        job.task = asyncio.create_task(self._run(job))
        self.tell()
        return job

    async def _run(self, job: Job) -> None:
        try:
            look = {
                "do": "look",
                "source": str(job.source),
                "view": str(job.folder / "before"),
                "pixels": self.limits.pixels,
            }
            found = await self.looker.ask(look, self.limits.look_seconds)
            job.size = found["width"], found["height"]
            self._move(job, "waiting")
            upscale = {
                "do": "upscale",
                "source": str(job.source),
                "target": str(job.target),
                "view": str(job.folder / "after"),
                "weights": str(job.choice.file),
            }
            job.result = await self.upscaler.ask(
                upscale,
                self.limits.job_seconds,
                lambda: self._move(job, "working"),
                lambda answer: self._progress(job, answer),
            )
            job.stored_bytes = job.result.pop("stored")
            job.result["note"] = job.result["note"] and self._plain(job, job.result["note"])
            self._move(job, "done")
        except InputError as error:
            job.error = self._plain(job, str(error))
            self._move(job, "failed")
        except asyncio.CancelledError:
            self._move(job, "cancelled")
            raise
        finally:
            job.source.unlink(missing_ok=True)
            if job.state != "done":
                job.stored_bytes = 0
                shutil.rmtree(job.folder, ignore_errors=True)

    @staticmethod
    def _plain(job: Job, sentence: str) -> str:
        """A worker's sentence without the names that files have here."""
        return sentence.replace(str(job.source), "the file").replace(str(job.target), "the result")

    def _move(self, job: Job, state: State) -> None:
        job.state = state
        self.tell()

    def _progress(self, job: Job, answer: Answer) -> None:
        job.tiles = (answer["tiles"][0], answer["tiles"][1])
        self.tell()

    def cancel(self, job: Job) -> None:
        if job.task and not job.task.done():
            job.task.cancel()

    def remove(self, session: Session, job: Job) -> None:
        """Cancels the job if it is not done, and removes all that there is of it."""
        self.cancel(job)
        session.jobs.pop(job.key, None)
        shutil.rmtree(job.folder, ignore_errors=True)
        self.tell()

    def find(self, key: str) -> tuple[Session, Job] | None:
        return next(
            (
                (session, session.jobs[key])
                for session in self.sessions.values()
                if key in session.jobs
            ),
            None,
        )

    def tell(self) -> None:
        """Everybody's place in the queue may have changed."""
        for session in self.sessions.values():
            session.changed.set()

    def told(self, session: Session) -> list[dict[str, Any]]:
        """The jobs of a session as its page is told of them."""
        waiting = [
            job
            for each in self.sessions.values()
            for job in each.jobs.values()
            if job.state in ("waiting", "working")
        ]
        return [
            job.told(waiting.index(job) if job in waiting else 0) for job in session.jobs.values()
        ]

    async def close(self) -> None:
        """Ends whatever is at work."""
        tasks = [
            job.task
            for session in self.sessions.values()
            for job in session.jobs.values()
            if job.task
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(self.looker.kill(), self.upscaler.kill())
