"""The file of runs: what is written comes back, in any order and from several processes at once."""

from __future__ import annotations

import json
import lzma
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from comparison.made_up import identity, record
from ibsd.comparison.identity import RunRequest
from ibsd.comparison.store import FILE, Examination, Store
from ibsd.types import InputError


def test_a_store_finds_what_it_wrote(tmp_path: Path) -> None:
    done = record()
    Store(tmp_path).add(done)
    assert Store(tmp_path).find(RunRequest(done.identity)) == done
    assert Store(tmp_path).find(RunRequest(identity(seed=1))) is None


def test_infinite_scores_come_back_and_the_rows_are_json(tmp_path: Path) -> None:
    done = record(scores=(30.0, float("inf")))
    Store(tmp_path).add(done)
    assert Store(tmp_path).records == [done]
    for line in lzma.decompress((tmp_path / FILE).read_bytes()).splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_run_of_the_same_name_and_key_is_replaced(tmp_path: Path) -> None:
    again = record(machine={"finished": "2027"})
    for run in (record(), again):
        Store(tmp_path).add(run)
    assert Store(tmp_path).records == [again]


def test_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    runs = [record(arm, seed) for arm in ("plain", "ibsd") for seed in (0, 1)]
    for folder, order in (("one", runs), ("two", runs[::-1])):
        for run in order:
            Store(tmp_path / folder).add(run)
    assert (tmp_path / "one" / FILE).read_bytes() == (tmp_path / "two" / FILE).read_bytes()


def test_an_examination_lies_beside_its_run_and_takes_the_place_of_an_earlier_one(
    tmp_path: Path,
) -> None:
    done = record()
    store = Store(tmp_path)
    store.add(done)
    for rounds in (1, 2):
        examination = Examination(done.identity.key, {"rounds": rounds}, {"pool": 0}, {"gain": []})
        store.add_examination(done.identity, examination)
    store = Store(tmp_path)
    assert store.examinations == {done.identity.key: examination}
    assert store.records == [done]


def test_runs_of_other_numerics_stand_for_a_request_only_where_that_is_allowed(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    older = record(identity=identity(numerics=identity().numerics | {"training": 0}))
    store.add(older)
    request = RunRequest(identity())
    assert store.find(request) is None
    assert store.find(request, any_numerics=True) == older
    other = RunRequest(replace(request.identity, data={"train": "other", "tests": {}}))
    assert store.find(other, any_numerics=True) is None
    store.add(record())
    assert store.find(request, any_numerics=True) == record()


def test_without_data_the_latest_run_counts(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = record(identity=identity(data={"train": "old", "tests": {"new": "n"}}))
    new = record(machine={**old.machine, "finished": "2026-02-02"})
    for run in (new, old):
        store.add(run)
    assert store.find(RunRequest(identity(data=None))) == new


def add_some(folder: Path, arm: str) -> None:
    for seed in range(8):
        Store(folder).add(record(arm, seed))


@pytest.mark.slow
def test_processes_that_write_at_once_lose_no_row(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=add_some, args=(tmp_path, arm)) for arm in ("a", "b", "c")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert len(Store(tmp_path).records) == 24
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"{", "cannot be read as runs"),
        (lzma.compress(b"{"), "cannot be read as runs"),
        (lzma.compress(b'{"format": 2, "kind": "run"}'), "cannot be read as runs"),
        (lzma.compress(b'{"format": 99}'), "format 99"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        Store(tmp_path)
    assert str(tmp_path / FILE) in str(caught.value)
