"""Hands files to the workers of a Ray cluster, and collects what became of each.

Ray starts processes where there is room, tells of those that die, and carries the calls. `Workers`
does what Ray does not: it knows which file a worker dies over, and how often.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, NamedTuple

import ibsd
from ibsd.cluster.worker import Made, Result, Upscaling, Worker, remove_partials
from ibsd.system import num_cores
from ibsd.types import InputError

MOST_TRIES = 3
"""Times that a file is tried if its workers die."""
CALLS_AHEAD = 2
"""Calls that a worker holds, so that it never waits for this process."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECONDS_OF_LOOK = 2.0
"""Seconds between two looks at how many machines there are."""
_OBJECT_STORE_BYTES = 100 * 2**20
"""A local cluster needs no more, because only names travel."""


class Job(NamedTuple):
    """A file to upscale, by absolute names or addresses."""

    source: str
    target: str
    tries: int = 0
    """Workers that died over it."""


@contextmanager
def connected(address: str) -> Generator[None]:
    """Connects to the cluster at an address such as HOST:6379; for "local" starts one of this
    machine's cores. Does nothing inside of another `connected`. InputError if there is no cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_task_oom_retries", str(MOST_TRIES - 1))  # else without end
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")  # else deaths are told on stdout
    import ray

    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options |= {"include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES}
        options["num_cpus"] = num_cores()
    else:
        _check_address(address)
    try:
        for tries in range(1, MOST_TRIES + 1):
            with signals_held() as let_through:  # ray takes SIGTERM for itself
                try:
                    ray.init(address=address, **options)
                except Exception as error:  # of many kinds
                    if address != "local" or tries == MOST_TRIES:
                        raise _refused(address, error) from error
                    ray.shutdown()  # on a busy machine its parts do not wait for each other
                let_through()
            if ray.is_initialized():
                break
        yield
    except import_module("ray.exceptions").RayError as error:
        raise InputError(
            f"{_place(address)} is lost ({reason(error)}): the same command goes on"
        ) from error
    finally:
        ray.shutdown()


def _refused(address: str, error: Exception) -> InputError:
    advice = (
        "set RAY_AUTH_MODE=token if it was started with a token, and check that all machines have "
        "the same Python, ray and ibsd"
    )
    if address == "local":
        advice = "the machine may be too busy, try again"
    return InputError(f"{_place(address)} does not take this run ({reason(error)}): {advice}")


def _place(address: str) -> str:
    return "Ray on this machine" if address == "local" else f"the cluster at {address}"


def _check_address(address: str) -> None:
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise InputError(
            f"--cluster is {address!r}: choose local, or the address that `ray start` named, such "
            "as 10.0.0.5:6379"
        )
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(
            f"no cluster answers at {address} ({getattr(error, 'strerror', None) or error}): "
            "check the address, and that `ray start --head` runs there"
        ) from None


@contextmanager
def signals_held() -> Generator[Callable[[], None]]:
    """Holds signals back until the function that it gives is called. Otherwise a handler that
    raises inside of Ray comes out as a SystemError."""
    received: list[int] = []
    handlers: dict[int, Any] = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in _SIGNALS
    }

    def let_through() -> None:
        if received:
            number = received.pop()
            signal.signal(number, handlers[number])
            signal.raise_signal(number)

    try:
        yield let_through
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def takes_gpu(device: str) -> bool:
    """Whether work on a device, such as "auto", takes a GPU of the cluster. InputError if it must,
    and there is none."""
    is_asked, has_any = device.startswith("cuda"), _resource("GPU") > 0
    if is_asked and not has_any:
        raise InputError(f"the device is {device!r}, and the cluster has no GPU: take cpu or auto")
    return is_asked or (device == "auto" and has_any)


def _resource(name: str) -> float:
    return float(import_module("ray").cluster_resources().get(name, 0))


@dataclass(eq=False)
class _Hand:
    """A worker and the calls that it holds, oldest first. Its very first call opens the network and
    belongs to no job."""

    actor: Any
    calls: deque[tuple[Any, Job | None]] = field(default_factory=deque)


class Workers:
    """One worker for each core of the cluster, or for each GPU where the network runs on one.

    Args:
        device: as in `open_network`. "auto" takes GPUs only, if the cluster has any.
        most: workers; not more than there are files.
        log: gets a sentence if the cluster has no room.
    """

    def __init__(
        self, upscaling: Upscaling, device: str, most: int, log: Callable[[str], None]
    ) -> None:
        self.ray: Any = import_module("ray")
        self.dead: type[Exception] = import_module("ray.exceptions").RayError
        """What a call to a dead worker raises."""
        self.upscaling = upscaling
        self.most = most
        self.log = log
        self.on_gpu = takes_gpu(device)
        self.actor: Any = self.ray.remote(num_cpus=1, num_gpus=int(self.on_gpu))(Worker)
        self.hands: list[_Hand] = []
        self.again: deque[Job] = deque()
        self.disturbed: set[str] = set()
        """Targets of jobs that a dead worker held. It may write on for a moment. So what it left is
        removed when another worker has done the job."""
        self.deaths_at_opening = 0
        """Workers that died since one last opened its network."""
        self.looked = 0.0
        self.waits_since: float | None = time.monotonic()

    def __len__(self) -> int:
        """The number of workers that there should be."""
        return min(self.most, int(_resource("GPU" if self.on_gpu else "CPU")))

    def results(self, jobs: Iterator[Job]) -> Generator[tuple[Job, Made]]:
        """What became of each job, in no order. A job whose worker dies goes to another one.

        Errors: InputError if a disk is full, if a store does not answer, or if no worker can open
        the network.
        """
        more = True
        with signals_held() as let_through:
            while True:
                let_through()
                while more or self.again:
                    hand = self._free_hand()
                    if hand is None:
                        break
                    job = self.again.popleft() if self.again else next(jobs, None)
                    if job is None:
                        more = False
                        continue
                    call = hand.actor.upscale.remote(job.source, job.target)
                    hand.calls.append((call, job))
                if not (more or self.again or any(self._jobs(hand) for hand in self.hands)):
                    return
                yield from self._ended(more)

    def measured(self, jobs: list[Job]) -> list[tuple[float, int] | str]:
        """`Worker.measure` of each file, with all workers at once as in a run."""
        number = min(len(self), len(jobs))
        actors = [self.actor.remote(self.upscaling, ibsd.__version__) for _ in range(number)]
        pool = self.ray.util.ActorPool(actors)
        measured: list[tuple[float, int] | str] = []
        try:
            with signals_held() as let_through:
                opened = [actor.open.remote() for actor in actors]
                while len(self.ray.wait(opened, num_returns=number, timeout=1.0)[0]) < number:
                    let_through()
                self.ray.get(opened)
                for job in jobs:
                    pool.submit(lambda actor, job: actor.measure.remote(*job[:2]), job)
                while pool.has_next():
                    let_through()
                    with suppress(TimeoutError):
                        measured.append(pool.get_next_unordered(timeout=1.0))
            return measured
        except InputError as error:
            raise cause(error) from None
        except self.dead as error:
            raise InputError(
                f"a worker died in the calibration ({reason(error)}): look into the logs of "
                "ray, and whether the machines have memory enough"
            ) from None

    def in_flight(self) -> list[Job]:
        """Jobs that workers hold."""
        return [job for hand in self.hands for job in self._jobs(hand)]

    @staticmethod
    def _jobs(hand: _Hand) -> list[Job]:
        return [job for _, job in hand.calls if job is not None]

    def _free_hand(self) -> _Hand | None:
        """The open worker with the fewest calls, if it takes another one."""
        able = [hand for hand in self.hands if not hand.calls or hand.calls[0][1] is not None]
        hand = min(able, key=lambda hand: len(hand.calls), default=None)
        return hand if hand is not None and len(hand.calls) < CALLS_AHEAD else None

    def _ended(self, more: bool) -> Iterator[tuple[Job, Made]]:
        """Waits for calls to end, for a second at most."""
        if time.monotonic() - self.looked >= _SECONDS_OF_LOOK:
            self._hire(len(self) if more else min(len(self), len(self.again) + len(self.hands)))
        first = {hand.calls[0][0]: hand for hand in self.hands if hand.calls}
        if not first:
            time.sleep(0.1)
            return
        ready, waiting = self.ray.wait(list(first), num_returns=1, timeout=1.0)
        if ready and waiting:  # with a time-out of 0, all that have ended
            ready += self.ray.wait(waiting, num_returns=len(waiting), timeout=0)[0]
        for call in ready:
            yield from self._ended_call(first[call])

    def _ended_call(self, hand: _Hand) -> Iterator[tuple[Job, Made]]:
        call, job = hand.calls[0]
        try:
            made = self.ray.get(call)
        except InputError as error:
            raise cause(error) from None
        except self.dead as error:
            yield from self._buried(hand, error)
            return
        hand.calls.popleft()
        if job is None:  # the network is open
            self.deaths_at_opening = 0
            self.waits_since = None
            return
        if job.target in self.disturbed:
            remove_partials(job.target)
        yield job, made

    def _buried(self, hand: _Hand, error: Exception) -> Iterator[tuple[Job, Made]]:
        """Gives a dead worker's jobs to others. It died over the oldest."""
        self.hands.remove(hand)
        with suppress(Exception):  # it may only have seemed dead
            self.ray.kill(hand.actor)
        self.looked = 0.0
        why = reason(error)
        jobs = self._jobs(hand)
        if hand.calls[0][1] is None:
            self.deaths_at_opening += 1
            if self.deaths_at_opening >= MOST_TRIES * max(1, len(self)):
                raise InputError(
                    f"every worker dies while it opens the network ({why}): look into the logs "
                    "of ray, and whether the machines have memory enough"
                )
            return
        self.disturbed.update(job.target for job in jobs)
        over = jobs.pop(0)
        self.again.extendleft(reversed(jobs))
        over = over._replace(tries=over.tries + 1)
        if over.tries < MOST_TRIES:
            self.again.appendleft(over)
            return
        sentence = (
            f"{over.source} ended {MOST_TRIES} workers ({why}), as a file does that needs more "
            "memory than there is: choose a smaller --tile, or leave it out"
        )
        remove_partials(over.target)
        result = Result(over.source, over.target, sentence)
        yield over._replace(tries=over.tries - 1), Made(result, 0.0, "")

    def _hire(self, number: int) -> None:
        self.looked = time.monotonic()
        for _ in range(number - len(self.hands)):
            worker = self.actor.remote(self.upscaling, ibsd.__version__)
            self.hands.append(_Hand(worker, deque([(worker.open.remote(), None)])))
        if self.waits_since is not None and self.looked - self.waits_since > 60:
            self.waits_since = None
            self.log("waiting for a free core of the cluster")


def cause(error: InputError) -> InputError:
    """What was raised in a worker, without its traceback there."""
    return InputError(str(getattr(error, "cause", error)))


def reason(error: Exception) -> str:
    """What Ray says of a death, in a few words."""
    words = str(getattr(error, "cause", None) or error).strip().splitlines()
    return f"{type(error).__name__}: {words[-1].strip()[:200] if words else ''}".rstrip(".: ")
