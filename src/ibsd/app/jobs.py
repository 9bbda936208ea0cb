"""Open pages and their photographs. A photograph is read, waits, is upscaled, and is done. Of a
large one a part may be upscaled first; then it waits for the user's answer."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ibsd.app.limits import ServerLimits
from ibsd.app.offered_weights import OfferedWeights
from ibsd.app.worker_process import Message, WorkerProcess
from ibsd.types import InputError

State = Literal["reading", "waiting", "trying", "asking", "working", "done", "failed", "cancelled"]
"""trying: a part is being upscaled. asking: the user sees it, and says whether to go on."""
Centre = tuple[float, float]
"""Centre of a part: across and down, in [0, 1] of the photograph."""
MIDDLE = (0.5, 0.5)


class FullError(InputError):
    """The server takes no more pages or photographs now."""


@dataclass
class Job:
    """One photograph."""

    key: str
    """A secret: whoever knows it may have the photograph."""
    name: str
    """As the user calls it. It is only shown, and never part of a path."""
    folder: Path
    weights: OfferedWeights
    suffix: str
    """Suffix of the result, with its dot."""
    centre: Centre | None = None
    """Centre of the part to upscale next; None for the whole photograph."""
    look: float = 0.0
    """As for `open_network`."""
    state: State = "reading"
    turn: int = 0
    """Its place in the queue, while it waits."""
    part: Message | None = None
    """The part that the user sees."""
    answers: asyncio.Queue[Centre | None] = field(default_factory=asyncio.Queue[Centre | None])
    """Of the user: another part, or None for the whole."""
    removed: bool = False
    tiles: tuple[int, int] = (0, 0)
    """(done, all)."""
    size: tuple[int, int] | None = None
    """Width and height of the photograph before upscaling."""
    result: Message | None = None
    error: str = ""
    stored_bytes: int = 0
    """Disk space of its files."""
    task: asyncio.Task[None] | None = None

    @property
    def source(self) -> Path:
        return self.folder / "input"

    @property
    def target(self) -> Path:
        return self.folder / f"output{self.suffix}"

    @property
    def result_name(self) -> str:
        """The name under which the browser saves the result."""
        weights = Path(self.weights.name).name
        scale = f"x{self.weights.scale}"
        made_with = weights if weights.endswith(scale) else f"{weights}_{scale}"
        look = f"_look{self.look:g}" if self.look else ""
        return f"{Path(self.name).stem}_{made_with}{look}{self.suffix}"

    def as_json(self, num_ahead: int) -> dict[str, Any]:
        """For the page. `num_ahead` photographs are before it in the queue."""
        return {
            "key": self.key,
            "name": self.name,
            "state": self.state,
            "ahead": num_ahead,
            "tiles": self.tiles,
            "size": self.size,
            "scale": self.weights.scale,
            "weights": self.weights.name,
            "look": self.look,
            "part": self.part,
            "asked": self.centre is not None,
            "result": self.result and {**self.result, "name": self.result_name},
            "error": self.error,
        }


@dataclass
class Session:
    """One open page."""

    jobs: dict[str, Job] = field(default_factory=dict[str, Job])
    num_uploads: int = 0
    """Uploads that have not arrived yet."""
    num_streams: int = 0
    """Connections over which the page listens."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    end_timer: asyncio.TimerHandle | None = None


class JobQueue:
    """All sessions and jobs of a server, and its two workers: one reads, one upscales.

    Args:
        home: a private folder that exists. Each job gets a folder of its own in it.
    """

    def __init__(self, home: Path, limits: ServerLimits) -> None:
        self.home = home
        self.limits = limits
        self.sessions: dict[str, Session] = {}
        self.turns = itertools.count()
        self.reader = WorkerProcess(limits.idle_seconds)
        self.upscaler = WorkerProcess(limits.idle_seconds)

    @property
    def jobs(self) -> list[Job]:
        """The jobs of all sessions."""
        return [job for session in self.sessions.values() for job in session.jobs.values()]

    def check_session(self, key: str) -> None:
        """FullError for a new session beyond the limit."""
        if key not in self.sessions and len(self.sessions) >= self.limits.sessions:
            raise FullError("too many pages are open on this server: close one of them")

    @contextmanager
    def listen(self, key: str) -> Generator[Session]:
        """A session while its page listens. It ends when nobody has listened for `lost_seconds`.
        FullError as `check_session`."""
        self.check_session(key)
        session = self.sessions.setdefault(key, Session())
        if session.end_timer:
            session.end_timer.cancel()
        session.num_streams += 1
        session.changed.set()
        try:
            yield session
        finally:
            session.num_streams -= 1
            if not session.num_streams:
                session.end_timer = asyncio.get_running_loop().call_later(
                    self.limits.lost_seconds, self.end, key
                )

    def end(self, key: str) -> None:
        """Cancel the jobs of a session and remove its photographs."""
        session = self.sessions[key]
        for job in list(session.jobs.values()):
            self.remove(session, job)
        del self.sessions[key]

    def knows(self, session: Session) -> bool:
        """Whether the session has not ended: nobody would remove its photographs any more."""
        return any(session is other for other in self.sessions.values())

    @contextmanager
    def upload(self, session: Session) -> Generator[Path]:
        """A new folder for an upload; it is removed unless `add` took it. FullError if there are
        too many photographs, or if the disk is full."""
        num_present = sum(len(other.jobs) + other.num_uploads for other in self.sessions.values())
        if num_present >= self.limits.jobs:
            raise FullError(
                f"{num_present} photographs are here already, the most this server takes: "
                "remove some and try again"
            )
        if self.stored_bytes() > min(self.limits.stored_bytes, shutil.disk_usage(self.home).free):
            raise FullError(
                "the photographs here take all the space that this server has: "
                "remove some and try again"
            )
        folder = self.home / secrets.token_urlsafe(16)
        folder.mkdir(mode=0o700)
        session.num_uploads += 1
        try:
            yield folder
        finally:
            session.num_uploads -= 1
            if not any(job.folder == folder for job in session.jobs.values()):
                shutil.rmtree(folder, ignore_errors=True)

    def stored_bytes(self) -> int:
        """Disk space of all photographs."""
        return sum(job.stored_bytes for job in self.jobs)

    def add(
        self,
        session: Session,
        folder: Path,
        name: str,
        weights: OfferedWeights,
        suffix: str,
        centre: Centre | None = None,
        look: float = 0.0,
    ) -> Job:
        """The job of a photograph that has arrived as `input` in its folder. With a `centre` the
        part around it comes first, if the photograph is large."""
        job = Job(folder.name, name, folder, weights, suffix, centre, look)
        job.stored_bytes = job.source.stat().st_size
        session.jobs[job.key] = job
        job.task = asyncio.create_task(self._run(job))
        self.notify()
        return job

    async def _run(self, job: Job) -> None:
        try:
            await self._read(job)
            await self._try_parts(job)
            self._set_state(job, "waiting")
            await self._upscale(job)
            self._set_state(job, "done")
        except InputError as error:
            job.error = _without_paths(job, str(error))
            self._set_state(job, "failed")
        except asyncio.CancelledError:
            self._set_state(job, "cancelled")
            raise
        finally:
            if job.removed or job.size is None:
                job.stored_bytes = 0
                shutil.rmtree(job.folder, ignore_errors=True)
            elif job.state != "done":  # it may be tried again with other weights
                job.target.unlink(missing_ok=True)
                shutil.rmtree(job.folder / "after", ignore_errors=True)

    async def _read(self, job: Job) -> None:
        request = {
            "verb": "read",
            "source": str(job.source),
            "preview": str(job.folder / "before"),
            "max_pixels": self.limits.pixels,
        }
        size = await self.reader.request(request, self.limits.read_seconds)
        job.size = (size["width"], size["height"])

    async def _try_parts(self, job: Job) -> None:
        """Upscale part after part of a large photograph, until the user wants the whole."""
        assert job.size
        if job.size[0] * job.size[1] < self.limits.part_pixels:
            return
        while job.centre is not None:
            self._set_state(job, "waiting")
            name = secrets.token_urlsafe(8)
            request = {
                "verb": "part",
                "source": str(job.source),
                "weights": str(job.weights.file),
                "look": job.look,
                "folder": str(job.folder / "part"),
                "name": name,
                "centre": job.centre,
            }
            part = await self.upscaler.request(
                request, self.limits.job_seconds, on_start=lambda: self._set_state(job, "trying")
            )
            job.part = part | {"name": name, "centre": job.centre}
            self._set_state(job, "asking")
            job.centre = await job.answers.get()

    async def _upscale(self, job: Job) -> None:
        request = {
            "verb": "upscale",
            "source": str(job.source),
            "target": str(job.target),
            "preview": str(job.folder / "after"),
            "weights": str(job.weights.file),
            "look": job.look,
        }
        result = await self.upscaler.request(
            request,
            self.limits.job_seconds,
            on_start=lambda: self._set_state(job, "working"),
            on_progress=lambda message: self._set_tiles(job, message),
        )
        job.stored_bytes = result.pop("stored")
        result["note"] = result["note"] and _without_paths(job, result["note"])
        job.result = result

    def _set_state(self, job: Job, state: State) -> None:
        job.state = state
        if state == "waiting":
            job.turn = next(self.turns)
        self.notify()

    def _set_tiles(self, job: Job, message: Message) -> None:
        done, total = message["tiles"]
        job.tiles = (done, total)
        self.notify()

    def cancel(self, job: Job) -> None:
        """Stop a job that is not done."""
        if job.task and not job.task.done():
            job.task.cancel()

    def remove(self, session: Session, job: Job) -> None:
        """Cancel the job if it is not done, and remove its files."""
        job.removed = True
        self.cancel(job)
        session.jobs.pop(job.key, None)
        shutil.rmtree(job.folder, ignore_errors=True)
        self.notify()

    def find(self, key: str) -> tuple[Session, Job] | None:
        """The job of this key and its session."""
        for session in self.sessions.values():
            if key in session.jobs:
                return session, session.jobs[key]
        return None

    def notify(self) -> None:
        """Wake all sessions: any of their places in the queue may have changed."""
        for session in self.sessions.values():
            session.changed.set()

    def as_json(self, session: Session) -> list[dict[str, Any]]:
        """The jobs of a session, for its page."""
        queue = [job for job in self.jobs if job.state in ("waiting", "trying", "working")]
        queue.sort(key=lambda job: job.turn)
        return [
            job.as_json(queue.index(job) if job in queue else 0) for job in session.jobs.values()
        ]

    async def close(self) -> None:
        """Stop all jobs and workers."""
        tasks = [job.task for job in self.jobs if job.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(self.reader.kill(), self.upscaler.kill())


def _without_paths(job: Job, sentence: str) -> str:
    """A worker's sentence without the paths of the server's files."""
    return sentence.replace(str(job.source), "the file").replace(str(job.target), "the result")
