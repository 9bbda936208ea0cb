"""kill -9 at many moments of a training: `python benchmarks/kills.py --moments 50 --output
benchmarks/results/kills-....json`.

Every moment is a run of its own in a forked process: killed once, by the clock or at a chosen place
(after the optimiser and before the checkpoint, within the files of a checkpoint, within the refresh
of the soft target's bank), then resumed to its end in another process without any help. Survived
means: all that the next step would depend on, and the log, equal those of a run that was not
killed, bit for bit.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

TESTS = Path(__file__).parents[1] / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "training")]

import test_resume  # noqa: E402
import torch  # noqa: E402
import torch._dynamo  # noqa: E402  (the first optimiser imports it: not in every child)

from ibsd.distillation import soft_target  # noqa: E402
from ibsd.students import imdn  # noqa: E402
from ibsd.training import checkpoint  # noqa: E402
from ibsd.training.checkpoint import load_newest  # noqa: E402
from ibsd.training.trainer import Trainer  # noqa: E402

PLACES = (
    "by the clock",
    "before the checkpoint",
    "during the checkpoint",
    "during the bank's refresh",
)


def train(folder: Path) -> None:
    test_resume.run(folder, test_resume.OBJECTIVES["bank"])


def in_child(work: Callable[[], None], kill_after: float | None = None) -> int:
    """The exit status of a forked process that does `work`; negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_after(calls: int, function: Callable) -> Callable:
    """`function`, in whose call of this number, after its work, the process is killed."""
    count = 0

    def wrapped(*arguments, **options):
        nonlocal count
        count += 1
        result = function(*arguments, **options)
        if count == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return wrapped


def train_and_die(folder: Path, place: str, chance: random.Random) -> None:
    if place == "before the checkpoint":
        Trainer.update = dying_after(
            6 * chance.choice((1, 2)), Trainer.update
        )  # the steps after which one is written
    elif place == "during the checkpoint":
        checkpoint._write = dying_after(chance.randrange(1, 10), checkpoint._write)
    elif place == "during the bank's refresh":
        fill = soft_target.fill_bank

        def dying(student, images):
            forward, number = imdn.IMDN.forward, chance.randrange(1, len(images) + 1)
            imdn.IMDN.forward = dying_after(number, forward)
            return fill(student, images)

        soft_target.fill_bank = (
            dying if chance.random() < 0.5 else dying_after(chance.randrange(1, 4), fill)
        )
    train(folder)


def left(folder: Path) -> tuple[bytes, dict]:
    """The log, and the state that the last checkpoint holds."""
    said: list[str] = []
    found = load_newest(folder / "checkpoints", said.append)
    assert found is not None
    assert not said, said
    state = test_resume.flattened(found[1])
    return (folder / "log.jsonl").read_bytes(), {
        key: value for key, value in state.items() if key != ".generator"
    }


def equal(ours: dict, theirs: dict) -> bool:
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[key], theirs[key])
        if isinstance(ours[key], torch.Tensor)
        else repr(ours[key]) == repr(theirs[key])
        for key in ours
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    counts = {place: {"killed": 0, "survived": 0} for place in PLACES}
    with tempfile.TemporaryDirectory() as place_of_all:
        root = Path(place_of_all)
        started = time.monotonic()
        assert in_child(lambda: train(root / "whole")) == 0
        seconds = time.monotonic() - started
        log, state = left(root / "whole")
        for moment in range(options.moments):
            chance, place = random.Random(moment), PLACES[moment % len(PLACES)]
            folder = root / f"{moment}"
            by_clock = chance.uniform(0.02, seconds) if place == "by the clock" else None
            status = in_child(lambda: train_and_die(folder, place, chance), by_clock)  # noqa: B023  (done at once)
            if status != -signal.SIGKILL:
                continue  # it had ended already
            counts[place]["killed"] += 1
            fine = in_child(lambda: train(folder)) == 0  # noqa: B023
            if fine:
                our_log, our_state = left(folder)
                fine = our_log == log and equal(our_state, state)
            counts[place]["survived"] += fine
            if not fine:
                print(f"moment {moment} ({place}): lost", flush=True)
            if options.output:  # after each, as the whole takes minutes
                options.output.write_text(json.dumps(summary(counts), indent=1) + "\n")
    result = summary(counts)
    print(json.dumps(result, indent=1))
    return 0 if not result["lost"] else 1


def summary(counts: dict[str, dict[str, int]]) -> dict:
    killed, survived = (
        sum(each[key] for each in counts.values()) for key in ("killed", "survived")
    )
    return {"killed": killed, "survived": survived, "lost": killed - survived, "places": counts}


if __name__ == "__main__":
    sys.exit(main())
