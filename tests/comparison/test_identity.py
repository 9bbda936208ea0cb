"""When a run made earlier stands for the one wanted now, and when it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from comparison.made_up import identity, record
from ibsd.comparison.identity import departures
from ibsd.comparison.records import read_record, record_path, write_record
from ibsd.comparison.store import Library, Wanted
from ibsd.types import InputError


def test_keys_follow_config_data_and_code() -> None:
    base = identity()
    other_config = {
        "training": base.config["training"] | {"training.num_steps": 7},
        "scoring": base.config["scoring"],
    }
    other_code = {
        "training": base.code["training"] | {"ibsd.a": "cccc"},
        "scoring": base.code["scoring"],
    }
    assert base.data is not None
    trained_otherwise = [
        replace(base, config=other_config),
        replace(base, code=other_code),
        replace(base, data=base.data | {"train": "other"}),
    ]
    scored_otherwise = [
        replace(base, data=base.data | {"tests": {"new": "other"}}),
        replace(base, code=base.code | {"scoring": {"ibsd.m": "c"}}),
    ]
    assert len({each.training_key for each in [base, *trained_otherwise]}) == 4
    assert {each.training_key for each in scored_otherwise} == {base.training_key}
    assert len({each.key for each in [base, *trained_otherwise, *scored_otherwise]}) == 6


def test_names_of_arm_and_setting_are_no_part_of_the_key() -> None:
    assert identity("plain").training_key == identity("also-plain").training_key


def test_a_run_departs_where_a_value_differs() -> None:
    now, then = (
        identity(),
        identity(
            config={
                "training": {"training.num_steps": 5, "run.seed": 0},
                "scoring": {"lpips": False},
            }
        ),
    )
    assert departures(now, then, {}) == ["training.num_steps 5 -> 6"]
    assert departures(now, identity(data={"train": "x", "tests": {}}), {}) == ["data"]
    assert departures(replace(now, data=None), identity(data={"train": "x", "tests": {}}), {}) == []


def test_an_option_that_came_later_counts_as_its_default() -> None:
    then = identity()
    now = identity(
        config={
            "training": {**then.config["training"], "objective.options.pool": 0},
            "scoring": {"lpips": False},
        }
    )
    assert departures(now, then, {"objective.options.pool": 0}) == []
    assert departures(now, then, {"objective.options.pool": 4}) == ["objective.options.pool 4 -> 0"]
    assert departures(now, then, {}) == ["objective.options.pool '(nothing)' -> 0"]


def test_other_code_is_accepted_by_module_and_hash() -> None:
    now = identity(
        code={
            "training": {"ibsd.a": "new", "ibsd.b": "bbbb", "ibsd.c": "cccc"},
            "scoring": {"ibsd.m": "mmmm"},
        }
    )
    then = identity()
    assert departures(now, then, {}) == ["ibsd.a@aaaa", "ibsd.c@none"]
    assert departures(now, then, {}, ["ibsd.a@aaaa"]) == ["ibsd.c@none"]
    assert departures(now, then, {}, ["ibsd.a@aaaa", "ibsd.c@none"]) == []
    assert departures(now, then, {}, ["ibsd.a@other", "ibsd.c@none"]) == ["ibsd.a@aaaa"]


def test_a_library_finds_what_it_wrote(tmp_path: Path) -> None:
    done = record()
    Library(tmp_path).add(done)
    assert record_path(tmp_path, done.identity).name == f"seed-0-{done.identity.key[:8]}.json"
    assert Library(tmp_path).find(Wanted(done.identity)) == done
    assert Library(tmp_path).find(Wanted(identity(seed=1))) is None


def test_a_library_says_which_code_hinders(tmp_path: Path) -> None:
    library = Library(tmp_path)
    library.add(record())
    now = Wanted(
        identity(
            code={"training": {"ibsd.a": "new", "ibsd.b": "bbbb"}, "scoring": {"ibsd.m": "mmmm"}}
        )
    )
    assert library.find(now) is None
    assert library.code_that_hinders(now) == ["ibsd.a@aaaa"]
    assert library.find_of_any_code(now) is not None
    assert Library(tmp_path, ["ibsd.a@aaaa"]).find(now) is not None
    other_seed = Wanted(replace(now.identity, seed=1))
    assert library.code_that_hinders(other_seed) == []


def test_without_data_the_latest_run_counts(tmp_path: Path) -> None:
    library = Library(tmp_path)
    old = record(identity=identity(data={"train": "old", "tests": {"new": "n"}}))
    new = record(machine={**old.machine, "finished": "2026-02-02"})
    for each in (new, old):
        library.add(each)
    assert library.find(Wanted(identity(data=None))) == new


def test_records_survive_the_disk_with_infinities(tmp_path: Path) -> None:
    done = record(scores=(30.0, float("inf")))
    path = write_record(tmp_path, done)
    assert read_record(path) == done
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "cannot be read as a run"),
        ('{"format": 1}', "cannot be read as a run"),
        ('{"format": 99}', "format 99"),
    ],
)
def test_a_damaged_record_is_named(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "north" / "plain" / "seed-0-00000000.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(InputError, match=sentence) as caught:
        Library(tmp_path)
    assert str(path) in str(caught.value)
