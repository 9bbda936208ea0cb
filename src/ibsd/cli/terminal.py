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
    return _console(stderr=True)


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
    """The text with its control characters spelled out: names of files may hold commands to a
    terminal. Line breaks stay."""
    return text.translate(_CONTROLS)


@contextmanager
def progress_bar(label: str) -> Generator[Callable[[int, int], None]]:
    """On a terminal, a bar. The function that it gives takes (done, total)."""
    from rich.progress import Progress

    console = status_console()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        task = bars.add_task(label)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def text_table(
    header: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    title: str | None = None,
    left: Collection[str] = (),
) -> Table:
    """A table without lines. The first column and those named in `left` are aligned to the left.
    Square brackets in strings are no markup."""
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
