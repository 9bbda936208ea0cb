"""Results go to stdout, as text or with --json as one JSON value; all else goes to stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Collection, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

PIPED_WIDTH = 200
"""Columns without a terminal: enough that no table is cut."""
_CONTROLS = {
    code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}


def output_console() -> Console:
    """For results, on stdout."""
    return _console(stderr=False)


def status_console() -> Console:
    """For progress and remarks, on stderr."""
    return _live_console or _console(stderr=True)


def _console(stderr: bool) -> Console:
    from rich.console import Console

    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    width = None if terminal else PIPED_WIDTH
    return Console(stderr=stderr, highlight=False, soft_wrap=not terminal, width=width)


def print_line(text: str) -> None:
    """A line of the result. Square brackets are no markup in it."""
    output_console().print(printable(text), markup=False)


def log(sentence: str) -> None:
    """A remark on stderr."""
    status_console().print(printable(sentence), markup=False)


def printable(text: str) -> str:
    """The text with its control characters spelled out, because file names may hold commands to a
    terminal. Line breaks stay."""
    return text.translate(_CONTROLS)


@contextmanager
def progress_bars() -> Generator[Progress]:
    """Bars on a terminal. Lines of `log` stand above them."""
    from rich.progress import Progress

    console = status_console()
    bars = Progress(console=console, transient=True, disable=not console.is_terminal)
    with _live(console), bars:
        yield bars


@contextmanager
def progress_bar(label: str) -> Generator[Callable[[int, int], None]]:
    """Shows a bar on a terminal. Gives a function of (done, total) that moves it."""
    with progress_bars() as bars:
        task = bars.add_task(label)
        yield lambda done, total: bars.update(task, completed=done, total=total)


@contextmanager
def status(sentence: str) -> Generator[None]:
    """Says on a terminal what is being done. Lines of `log` stand above it."""
    from rich.text import Text

    console = status_console()
    with _live(console), console.status(Text(sentence)):
        yield


_live_console: Console | None = None
"""The console that shows bars now. Only it can print above them."""


@contextmanager
def _live(console: Console) -> Generator[None]:
    global _live_console
    _live_console = console
    try:
        yield
    finally:
        _live_console = None


def text_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    title: str | None = None,
    left: Collection[str] = (),
) -> Table:
    """A table without lines. The first column and those in `left` are aligned to the left. Square
    brackets in strings are no markup."""
    from rich.table import Table
    from rich.text import Text

    def plain(cell: str | Text) -> Text:
        return Text(printable(cell)) if isinstance(cell, str) else cell

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for column, text in enumerate(header):
        table.add_column(plain(text), justify="left" if column == 0 or text in left else "right")
    for row in rows:
        table.add_row(*map(plain, row))
    return table


def print_json(value: Any) -> None:
    """On stdout. Paths become text; figures that are not finite become null."""
    print(json.dumps(_plain(value), indent=1, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        pairs = cast(dict[Any, Any], value)
        return {str(key): _plain(item) for key, item in pairs.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast(Iterable[Any], value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
