"""Writes docs/configuration.md from the dataclasses of a config.

python benchmarks/configuration_page.py
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

from ibsd.config.comparison import CompareOptions
from ibsd.config.run import DataConfig, ObjectiveConfig, RunConfig, StudentConfig
from ibsd.distillation.ibsd_options import IBSDOptions
from ibsd.training import Schedule, TrainingOptions

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
SECTIONS: dict[str, Any] = {
    "student": StudentConfig(),
    "data": DataConfig(pairs="pairs"),
    "objective": ObjectiveConfig(),
    "objective.options": IBSDOptions(),
    "training": TrainingOptions(),
    "training.schedule": Schedule(),
    "run": RunConfig(),
    "compare": CompareOptions(folder=""),
}
HEAD = """<!-- Generated from the dataclasses by `python benchmarks/configuration_page.py`; do \
not edit. -->

# Every key of a config

`ibsd train run.toml section.key=value` replaces a key of the file. Sizes ending in `_px` are \
pixels of LR, and those
ending in `_mib` are MiB. A step is one update of the student. `[objective.options]` below is \
that of `ibsd`.
`specialise` has `warm_up` 100, `ramp` 250 and `period` 250, needs `student.weights`, and takes \
`start_share` 0.5
where that is 0. `[compare]` is for `ibsd compare`. A run folder also gets `tensorboard/` with the \
same figures as
`log.jsonl`: `tensorboard --logdir runs`.
"""


def meanings(section: Any) -> dict[str, str]:
    """{key: the docstring below it}. Only a section within a section may have none."""
    texts: dict[str, str] = {}
    for cls in reversed(type(section).__mro__[:-1]):
        body = ast.parse(inspect.getsource(cls)).body[0].body  # type: ignore[attr-defined]
        for node, after in zip(body, [*body[1:], None], strict=True):
            if isinstance(node, ast.AnnAssign) and isinstance(after, ast.Expr):
                text = str(after.value.value)  # type: ignore
                texts[node.target.id] = re.sub(r"\s+", " ", text).replace("|", "\\|")  # type: ignore
    return texts


def shown(value: object) -> str:
    """A default as TOML writes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, dict):
        inside = ", ".join(f"{key} = {item}" for key, item in value.items())
        return f"`{{ {inside} }}`" if inside else "`{}`"
    return f"`{list(value)}`" if isinstance(value, tuple) else f"`{value!r}`".replace("'", '"')


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, section in SECTIONS.items():
        texts = meanings(section)
        rows = [
            f"| `{field.name}` | {shown(getattr(section, field.name))} | {texts[field.name]} |"
            for field in dataclasses.fields(section)
            if not dataclasses.is_dataclass(getattr(section, field.name))
        ]
        parts.append(
            "\n".join(
                [f"\n## [{name}]\n", "| key | default | meaning |", "|---|---|---|", *rows, ""]
            )
        )
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
