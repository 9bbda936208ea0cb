"""The digest of batches: what proves that two runs saw the same patches in the same order."""

from __future__ import annotations

import tiny
from ibsd.data.patches import PairPatches


def drawn(source: PairPatches, count: int) -> PairPatches:
    for _ in range(count):
        source.next_batch()
    return source


def with_marks(marks: tuple[int, ...]) -> PairPatches:
    source = tiny.source()
    source.marks = marks
    return source


def test_the_digest_follows_seed_and_count() -> None:
    assert drawn(tiny.source(seed=1), 3).digest == drawn(tiny.source(seed=1), 3).digest
    digests = {drawn(tiny.source(seed=seed), count).digest for seed in (1, 2) for count in (2, 3)}
    digests |= {
        drawn(tiny.source(seed=1, batch_size=4), 3).digest,
        drawn(tiny.source(seed=1, augment=False), 3).digest,
    }
    assert len(digests) == 6


def test_marks_are_the_digests_of_shorter_runs() -> None:
    long = drawn(with_marks((2, 4, 9)), 5)
    assert long.marked == {2: drawn(tiny.source(), 2).digest, 4: drawn(tiny.source(), 4).digest}


def test_the_digest_survives_a_resume() -> None:
    before = drawn(with_marks((2, 5)), 3)
    after = with_marks((2, 5))
    after.load_state(before.state())
    whole = drawn(with_marks((2, 5)), 6)
    assert drawn(after, 3).digest == whole.digest
    assert after.marked == whole.marked
