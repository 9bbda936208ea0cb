"""From TOML to values: every mistake is a sentence that names the key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from ibsd.config.parsing import (
    apply_override,
    build,
    checked_arguments,
    checked_value,
    parameters_of,
    read_table,
)
from ibsd.distillation.ibsd import IBSD
from ibsd.distillation.registry import OBJECTIVES, declared_options
from ibsd.students import STUDENTS
from ibsd.types import InputError


@dataclass(frozen=True)
class Inner:
    flag: bool = False


@dataclass(frozen=True)
class Section:
    count: int = 1
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] | None = None
    inner: Inner = Inner()


def test_a_section_becomes_its_dataclass():
    table = {"count": 2, "rate": 1, "kind": "b", "sizes": [1, 2], "inner": {"flag": True}}
    assert build(Section, table) == Section(2, 1.0, "b", (1, 2), Inner(flag=True))
    assert isinstance(build(Section, table).rate, float)
    assert build(Section, {}) == Section()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"counts": 1}, "unknown key 'x.counts'; did you mean 'count'?"),
        ({"zzz": 1}, "unknown key 'x.zzz'; there are: count, rate, kind, sizes, inner"),
        ({"count": 1.5}, "x.count is 1.5; it must be a whole number"),
        ({"count": True}, "x.count is True; it must be a whole number"),
        ({"count": 2**63}, "must fit into 64 bits"),
        ({"rate": "1"}, "x.rate is '1'; it must be a number"),
        ({"rate": float("nan")}, "x.rate is nan; it must be finite"),
        ({"kind": "c"}, "x.kind is 'c'; it must be one of 'a', 'b'"),
        ({"sizes": 3}, "x.sizes is 3; it must be a list"),
        ({"sizes": [1, "2"]}, "x.sizes[1] is '2'; it must be a whole number"),
        ({"inner": 3}, "x.inner is 3; it must be a section, [x.inner]"),
        ({"inner": {"flag": 1}}, "x.inner.flag is 1; it must be true or false"),
    ],
)
def test_every_mistake_names_its_key(table: dict[str, Any], sentence: str):
    with pytest.raises(InputError) as caught:
        build(Section, table, "x")
    assert sentence in str(caught.value)


def test_overrides_are_toml_or_bare_words():
    table: dict[str, Any] = {"a": {"b": 1}}
    for override in ("a.b=2", "a.c=[1, 2]", "d.e=plain", " f=true"):
        apply_override(table, override)
    assert table == {"a": {"b": 2, "c": [1, 2]}, "d": {"e": "plain"}, "f": True}
    for override, sentence in (
        ("a.b", "must be section.key=value"),
        ("=1", "must be section.key=value"),
        ("a..b=1", "must be section.key=value"),
        ("a.b.c=1", "b is a value, not a section"),
    ):
        with pytest.raises(InputError, match=sentence):
            apply_override(table, override)


def test_a_folder_may_be_named_by_a_date():
    table: dict[str, Any] = {}
    for override in ("a=2026-11-30", "b=2026-11-30T10:00:00", "c=10:00:00"):
        apply_override(table, override)
    assert table == {"a": "2026-11-30", "b": "2026-11-30T10:00:00", "c": "10:00:00"}
    with pytest.raises(InputError, match="name is 2026; it must be text in quotes"):
        checked_value(str, 2026, "name")


def test_a_file_that_is_no_toml_is_named(tmp_path: Path):
    path = tmp_path / "run.toml"
    with pytest.raises(InputError, match="run.toml: no such config file"):
        read_table(path, [])
    path.write_text("a = ")
    with pytest.raises(InputError, match="run.toml: is not valid TOML"):
        read_table(path, [])
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="run.toml: cannot be read as a config"):
        read_table(path, [])


class Unannotated:
    def __init__(self, student, width=8):
        self.width = width


class Unresolved:
    def __init__(self, student: object, width: NoSuchType = 8) -> None:  # noqa: F821
        self.width = width


class Unsupported:
    def __init__(self, student: object, width: bytes = b"") -> None:
        self.width = width


@pytest.mark.parametrize("target", [Unannotated, Unresolved])
def test_a_constructor_without_annotations_is_a_sentence(target: Callable[..., Any]):
    with pytest.raises(InputError, match=r"objective.options.width cannot be checked.*annotate it"):
        checked_arguments(target, {"width": 3}, "objective.options")


def test_so_is_an_annotation_that_no_key_can_have():
    with pytest.raises(InputError, match=r"objective.options.width cannot be checked.*bytes"):
        checked_arguments(Unsupported, {"width": 3}, "objective.options")


@pytest.mark.parametrize("name", [*OBJECTIVES, *STUDENTS])
def test_every_default_of_ours_passes_its_own_check(name: str):
    target = declared_options(OBJECTIVES[name]) if name in OBJECTIVES else STUDENTS[name]
    defaults = {key: parameter.default for key, parameter in parameters_of(target).items()}
    assert "student" not in defaults
    assert checked_arguments(target, defaults, "options").keys() == defaults.keys()


def test_options_of_ibsd_are_those_of_its_dataclass():
    assert "lambda_mi" in parameters_of(declared_options(IBSD))
    assert checked_value(float, 1, "x") == 1.0
