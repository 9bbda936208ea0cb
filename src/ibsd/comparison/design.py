"""What a comparison is about, as its tables present it; nothing of how the runs are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

Role = Literal["treatment", "a/a", "unpaired"]
"""`treatment`: compared as a pair. `a/a`: the baseline with another order of the data, whose
differences are the noise floor. `unpaired`: other batches by design, compared seed by seed all the
same, and marked."""


MEAN = "mean"
"""The test set of a setting that is a mean over others."""


class RunName(NamedTuple):
    setting: str
    arm: str
    seed: int


class Place(NamedTuple):
    setting: str
    test: str

    def __str__(self) -> str:
        return f"{self.setting}/{self.test}"


@dataclass(frozen=True)
class ArmDesign:
    """An arm as the reader shall know it."""

    title: str
    role: Role
    options: str
    """Its options, as text."""


@dataclass(frozen=True)
class SettingDesign:
    """A setting as the reader shall know it."""

    title: str
    note: str
    tests: dict[str, str]
    """{test set: role}"""
    parts: dict[str, str] = field(default_factory=dict)
    """{test set that is a row of a matrix: the test set that is the mean of all rows}"""
    mean_of: tuple[Place, ...] = ()
    """Test sets whose mean is this setting's only one, `MEAN`; empty for a setting with runs."""

    def whole_tests(self) -> dict[str, str]:
        """{test set: role} of those that are no rows of a matrix."""
        return {test: role for test, role in self.tests.items() if test not in self.parts}


@dataclass(frozen=True)
class Design:
    """What is compared, in order of presentation."""

    title: str
    command: str
    """What a reader types to make the comparison again."""
    baseline: str
    primary: str
    """`protocol.metric` of the averaged weights at the last step on an unseen set: the claim."""
    names: tuple[RunName, ...]
    """Every run that belongs to it."""
    settings: dict[str, SettingDesign]
    arms: dict[str, ArmDesign]
    contrasts: tuple[tuple[str, str], ...] = ()
    """(arm, arm that is subtracted)"""
    named_before_tests: bool = False
    """Whether `primary` was named before any test was opened."""

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of any arm; some arms may have fewer."""
        return tuple(sorted({name.seed for name in self.names}))

    def is_claim(self, setting: str, test: str) -> bool:
        """Whether the primary figure is read there: on unseen sets, and where there are means, on
        these alone."""
        content = self.settings[setting]
        with_means = any(other.mean_of for other in self.settings.values())
        is_named = bool(content.mean_of) or not with_means
        return is_named and content.whole_tests().get(test) == "unseen"
