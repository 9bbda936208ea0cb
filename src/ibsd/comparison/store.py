"""The finished runs of a folder: which of them may stand for a run that is wanted."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ibsd.comparison.identity import Identity, code_changes, departures
from ibsd.comparison.records import RunRecord, read_records, write_record


@dataclass(frozen=True)
class Wanted:
    """A run that is asked for."""

    identity: Identity
    defaults: dict[str, Any] = field(default_factory=dict)
    """{dotted key: value} of every option's default, for runs made before the option existed."""


class Library:
    """Runs made so far, in `folder`; `accept_code` as for `departures`."""

    def __init__(self, folder: Path, accept_code: Collection[str] = ()) -> None:
        self.folder, self.accept_code = folder, accept_code
        self.records = read_records(folder)

    def find(self, wanted: Wanted) -> RunRecord | None:
        """A run with the wanted config, data and code (or accepted code)."""
        return latest(
            [record for record in self.candidates(wanted) if not self.departures(wanted, record)]
        )

    def find_of_any_code(self, wanted: Wanted) -> RunRecord | None:
        """The same, and where there is none, the latest with the wanted config and data, whatever
        code it was made with."""
        return self.find(wanted) or latest(
            [
                record
                for record in self.candidates(wanted)
                if not self.other_than_code(wanted, record)
            ]
        )

    def code_that_hinders(self, wanted: Wanted) -> list[str]:
        """Where there is a run that only its code keeps from standing for the wanted one: what
        `accept_code` would have to hold for it."""
        found = [
            self.departures(wanted, record)
            for record in self.candidates(wanted)
            if not self.other_than_code(wanted, record)
        ]
        return min(found, key=len) if found and all(found) else []

    def candidates(self, wanted: Wanted) -> list[RunRecord]:
        return [record for record in self.records if record.identity.name == wanted.identity.name]

    def departures(self, wanted: Wanted, record: RunRecord) -> list[str]:
        return departures(wanted.identity, record.identity, wanted.defaults, self.accept_code)

    def other_than_code(self, wanted: Wanted, record: RunRecord) -> list[str]:
        everything = code_changes(wanted.identity.code, record.identity.code)
        return departures(wanted.identity, record.identity, wanted.defaults, everything)

    def add(self, record: RunRecord) -> Path:
        """Writes a run down."""
        self.records.append(record)
        return write_record(self.folder, record)


def latest(records: Sequence[RunRecord]) -> RunRecord | None:
    return max(records, key=lambda record: record.machine.get("finished", ""), default=None)
