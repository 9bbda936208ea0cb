"""docs/extending.md is true: its code and its two registry lines, put into a copy of the package,
are all that a method and a network need."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import ibsd
from comparison.two_cameras import write_crops
from ibsd.comparison.store import Store

PACKAGE = Path(ibsd.__file__).parent
GUIDE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# (src/\S+)\n(.*?)```", GUIDE, re.DOTALL))
LINES = dict(re.findall(r"in `HOMES` of `(src/\S+)`:\n\n```diff\n\+(.*?)\n```", GUIDE))

RUN = """
student = { name = "threefold", scale = 2, options = { width = 8 } }
objective = { name = "two-views", options = { lambda_views = 0.2 } }
data = { pairs = "pairs", batch_size = 2, patch_px = 8 }
training = { num_steps = 1 }
run = { folder = "run", threads = 1 }
"""
COMPARE = """
[compare]
folder = "results"
seeds = [0]
[base]
student = { name = "threefold", scale = 2, options = { width = 8 } }
data = { pairs = "pairs", batch_size = 2, patch_px = 8 }
training = { num_steps = 2 }
[settings.one.tests.new]
splits = ["test"]
[arms.plain]
objective.name = "plain"
[arms.views]
objective.name = "two-views"
"""
COMMANDS = """
from ibsd.cli.main import main
for line in (
    "students threefold --no-measure --json",
    "train run.toml --json",
    "evaluate run/last.safetensors pairs --no-lpips --json",
    "compare compare.toml",
):
    print("$", line, flush=True)
    assert main(line.split()) == 0, line
"""
"""All in one process: each would wait for torch."""


def test_the_guide_names_two_files_and_one_line_each() -> None:
    assert [Path(path).parent.name for path in FILES] == ["distillation", "students"]
    assert list(LINES) == ["src/ibsd/distillation/registry.py", "src/ibsd/students/registry.py"]
    assert all(not (PACKAGE.parents[1] / path).exists() for path in FILES)


@pytest.mark.slow
def test_a_method_and_a_network_are_one_file_and_one_line(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "src/ibsd")
    for path, code in FILES.items():
        (tmp_path / path).write_text(code, encoding="utf-8")
    for path, line in LINES.items():
        registry = tmp_path / path
        registry.write_text(
            registry.read_text(encoding="utf-8").replace("HOMES = {\n", f"HOMES = {{\n{line}\n", 1),
            encoding="utf-8",
        )
    write_crops(tmp_path / "pairs")
    for name, text in (("run.toml", RUN), ("compare.toml", COMPARE)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    _, students, train, evaluate, _ = re.split(r"^\$ .*\n", done.stdout, flags=re.MULTILINE)

    [network] = json.loads(students)["students"]
    assert network["name"] == "threefold"
    assert json.loads(train)["step"] == 1
    assert "term/views" in (tmp_path / "run/log.jsonl").read_text()
    assert list(json.loads(evaluate)["means"]) == ["bicubic", "last"]
    [record] = [run for run in Store(tmp_path / "results").records if run.identity.arm == "views"]
    options = record.identity.config["training"]
    assert (options["student.name"], options["objective.name"]) == ("threefold", "two-views")
