"""From TOML to checked values: files, overrides of single keys, dataclasses and keyword arguments.

Every mistake is an InputError that names the key.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
import math
import tomllib
import types
import typing
from collections.abc import Callable, Sequence
from datetime import date, time
from pathlib import Path
from typing import Any, Literal, TypeVar

from ibsd.types import InputError

T = TypeVar("T")

KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    str: "text in quotes",
    bool: "true or false",
    dict: "a section",
}
"""Plain types that a key may have, and what a sentence calls them."""


def read_table(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The tables of a TOML file, with overrides such as "training.num_steps=100".

    Errors: InputError naming the file or the override.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such config file; check the name") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a config ({error})") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            f"{path}: is not valid TOML ({error}): docs/start-pairs.md shows one"
        ) from None
    for override in overrides:
        apply_override(table, override)
    return table


def apply_override(table: dict[str, Any], override: str) -> None:
    """Sets "section.key=value" in a nested table. Values are TOML; bare words, and dates, which
    folders are often named by, are strings."""
    name, equals, text = override.partition("=")
    keys = name.strip().split(".")
    if not equals or not all(keys):
        raise InputError(
            f"override {override!r} must be section.key=value, such as training.num_steps=100"
        )
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    if isinstance(value, date | time):
        value = text
    section: Any = table
    for key in keys[:-1]:
        section = section.setdefault(key, {})
        if not isinstance(section, dict):
            raise InputError(f"override {override!r}: {key} is a value, not a section")
    section[keys[-1]] = value


def build(target: type[T], table: Any, where: str = "") -> T:
    """A dataclass from a table, after checking keys and types."""
    return target(**checked_arguments(target, table, where))


def checked_arguments(target: Callable[..., Any], table: Any, where: str) -> dict[str, Any]:
    """Keyword arguments for `target` out of a table.

    Errors: InputError naming `where`.key for unknown keys and wrong types, and naming `target` if
    the annotations that keys are checked by are missing.
    """
    if not isinstance(table, dict):
        raise InputError(f"{where} is {table!r}; it must be a section, [{where}]")
    allowed = list(parameters_of(target))
    arguments: dict[str, Any] = {}
    for key, value in typing.cast("dict[str, Any]", table).items():
        name = f"{where}.{key}" if where else key
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(allowed)}"
            raise InputError(f"unknown key {name!r}; {hint}")
        arguments[key] = checked_value(annotation(target, key, name), value, name)
    return arguments


@functools.cache
def parameters_of(target: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """The keyword arguments that a section may hold: all but the `student` of an objective."""
    by_keyword = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    takes_student = not dataclasses.is_dataclass(target)
    return {
        name: parameter
        for name, parameter in inspect.signature(target).parameters.items()
        if parameter.kind in by_keyword and not (takes_student and name == "student")
    }


def annotation(target: Callable[..., Any], argument: str, name: str) -> Any:
    """Type of an argument. InputError if it has none, or one that no key can be checked by."""
    annotated = target if dataclasses.is_dataclass(target) else getattr(target, "__init__", target)
    owner = f"{target.__module__}.{getattr(target, '__qualname__', target)}"
    try:
        return type_hints(annotated)[argument]
    except (KeyError, NameError) as error:
        raise InputError(
            f"{name} cannot be checked: argument {argument!r} of {owner} has no usable "
            f"annotation ({error}); annotate it, for example as {argument}: float"
        ) from None


@functools.cache
def type_hints(annotated: Callable[..., Any]) -> dict[str, Any]:
    """Resolved once: a comparison looks at them thousands of times."""
    return typing.get_type_hints(annotated)


def checked_value(hint: Any, value: Any, name: str) -> Any:
    """`value`, converted where that loses nothing, if it is of the annotated type."""
    origin: Any = typing.get_origin(hint)
    choices: tuple[Any, ...] = typing.get_args(hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return build(hint, value, name)
    if hint is Any:
        return value
    if origin is Literal:
        if value in choices:
            return value
        raise InputError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, choices))}")
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in choices:
            return None
        first = next(choice for choice in choices if choice is not type(None))
        return checked_value(first, value, name)
    if origin in (tuple, Sequence):
        if isinstance(value, list | tuple):
            items = typing.cast("Sequence[Any]", value)
            return tuple(
                checked_value(choices[0], item, f"{name}[{k}]") for k, item in enumerate(items)
            )
        raise InputError(f"{name} is {value!r}; it must be a list")
    return checked_plain(origin or hint, value, name)


def checked_plain(expected: type, value: Any, name: str) -> Any:
    """`value` if it is of one of the plain types."""
    if expected not in KINDS:
        kinds = ", ".join(kind.__name__ for kind in KINDS)
        raise InputError(f"{name} cannot be checked: it is {expected!r}, and not one of {kinds}")
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise InputError(f"{name} is {value!r}; it must be {KINDS[expected]}")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise InputError(f"{name} is {value}; it must fit into 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{name} is {value}; it must be finite")
    return typing.cast("Any", value)
