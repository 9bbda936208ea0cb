"""What README and docs say can be done is done: commands run, code runs, configs load, links and
named files exist."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import tomllib
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import tiny
from ibsd.cli.main import USAGE, app, main
from ibsd.config.parsing import build
from ibsd.config.run import Config, load_config
from ibsd.data.samples import SPLITS, sample, sample_pair
from ibsd.export.weights import save_student
from ibsd.images.rgb import write_rgb
from ibsd.weights import SHIPPED

ROOT = Path(__file__).parents[2]
EVERY = sorted(
    path
    for folder in (
        "",
        "docs",
        "docs/archive",
        "docs/decisions",
        "benchmarks",
        "src/ibsd/weights",
        "src/ibsd/data/photographs",
        "src/ibsd/metrics/weights",
    )
    for path in (ROOT / folder).glob("*.md")
)
PAGES = [
    path
    for path in EVERY
    if path.parent.name != "decisions"
    and "<!-- Generated from" not in path.read_text(encoding="utf-8")
]
TOOLS = ("ibsd", "make", "pip", "python", "torchrun")
LAYOUT = re.compile(r"_LR|_HR|\b[HL]R\b|FOLDER/")
"""Marks a line of a folder's layout, which is no command."""

PARSED = ("demo", "serve", "efficiency", "export", "models", "register", "specialise")
"""Commands that run in tests of their own, and take too long to run again: here only what they are
given is understood. tests/export makes every format, and upscales by each."""
SMALL = [
    "data.batch_size=2",
    "data.patch_px=8",
    "training.num_steps=2",
    "training.validate_every=0",
    "run.threads=1",
    "run.device=cpu",
]
COMPARED = re.compile(r"^\$ ibsd (compare .*)$", re.MULTILINE).findall(
    (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
)
"""Comparisons that this page runs: on other pages they are only understood."""
NARROW = "student.options={width = 8, num_blocks = 3}"
EXAMINE = "compare.examine={fit_steps = 20, patches = 8, patch_px = 8}"
COMPARISON = """
[compare]
folder = "comparison"
work = "runs/work"
seeds = [0]
[base]
student = { name = "imdn", scale = 4, options = { width = 8, num_blocks = 3 } }
data = { pairs = "pairs", batch_size = 2, patch_px = 8 }
training = { num_steps = 2, checkpoint_every = 2 }
[settings.one.tests.new]
[arms.plain]
objective.name = "plain"
[arms.ibsd]
objective.name = "ibsd"
"""


class Block(NamedTuple):
    """Something in a page that can be tried."""

    kind: str
    text: str


def blocks(text: str) -> Iterator[Block]:
    """Fenced ones by their language, lines of indented ones as `command`, all in order."""
    for number, piece in enumerate(re.split(r"^```", text, flags=re.MULTILINE)):
        if number % 2:
            kind, _, inside = piece.partition("\n")
            if kind == "console":
                yield from (
                    Block("command", line.removeprefix("$ "))
                    for line in inside.splitlines()
                    if line.startswith("$ ")
                )
            else:
                yield Block(kind, inside)
        else:
            lines = (
                line
                for line in piece.splitlines()
                if re.match(r" {4}\S", line) and not re.match(r" *[-|*]", line)
            )
            yield from (
                Block("command", line.strip())
                for line in lines
                if not LAYOUT.search(line) or line.split()[0] in TOOLS
            )


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that the pages take for granted, small."""
    folder = tmp_path_factory.mktemp("world")
    for split, names in SPLITS.items():
        for name in names[:4]:
            lr, hr = sample_pair(name, 4)
            for side, pixels, size in (("LR", lr, 16), ("HR", hr, 64)):
                (folder / "pairs" / f"{split}_{side}").mkdir(parents=True, exist_ok=True)
                write_rgb(
                    folder / "pairs" / f"{split}_{side}" / f"{name}.png",
                    np.ascontiguousarray(pixels[:size, :size]),
                )
    for place in ("photographs", "holiday", "holiday/sea"):
        (folder / place).mkdir()
        for name in SPLITS["val"]:
            size = 96 if place == "photographs" else 24
            write_rgb(
                folder / place / f"{name}.png",
                np.ascontiguousarray(sample(name)[:size, : size + 8]),
            )
    write_rgb(folder / "photo.jpg", np.ascontiguousarray(sample("chelsea")[:80, :96]))
    for name in ("last", "plain", "ibsd", "my-weights"):
        save_student(tiny.student(scale=4), folder / f"{name}.safetensors")
    shutil.copytree(ROOT / "configs", folder / "configs")
    for path in (folder / "configs").glob("compare-*.toml"):
        if path.name != "compare-pairs.toml":  # the others are for pictures that are not here
            path.write_text(COMPARISON)
    (folder / "run.toml").write_text('[data]\npairs = "pairs"\n')
    (folder / "docs").mkdir()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        for name in ("plain", "ibsd"):
            given = [
                "data.pairs=pairs",
                f"run.folder=runs/{name}",
                f"objective.name={name}",
                "objective.options={}",
            ]
            assert main(["train", "configs/realsr-imdn-x4-ibsd.toml", *given, NARROW, *SMALL]) == 0
    return folder


TRIED = [page for page in PAGES if list(blocks(page.read_text(encoding="utf-8")))]


@pytest.mark.slow
@pytest.mark.parametrize("page", TRIED, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_everything_in_a_page_runs(
    page: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "here"
    shutil.copytree(world, place)
    monkeypatch.chdir(place)
    for made in re.findall(r"run\.folder=(\S+)", page.read_text(encoding="utf-8")):
        shutil.rmtree(place / made, ignore_errors=True)
    names: dict[str, Any] = {}
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.kind == "command":
            run(block.text, page.name)
        elif block.kind == "python" and not block.text.startswith(
            "# src/"
        ):  # those of docs/extending.md have a test of their own
            exec(prepared(block.text, names), names)
        elif block.kind == "toml":
            build(Config, tomllib.loads(block.text))
            if name := re.match(r"# (\S+\.toml)\n", block.text):
                Path(name[1]).write_text(block.text)
        elif block.kind == "json":
            json.loads(block.text)
        elif not block.kind:  # an equation; a command must not hide here
            first_words = {line.split()[0] for line in block.text.splitlines() if line.strip()}
            assert not first_words & set(TOOLS), f"{page.name} hides a command"
        else:
            assert block.kind in ("diff", "python"), (
                f"{page.name} has a block of {block.kind or 'nothing'}, which nobody tries"
            )


def prepared(code: str, names: dict[str, Any]) -> str:
    """README's code takes for granted what a reader has: batches, a network of one's own."""
    if "my_network" in code:
        body = nn.Sequential(*(nn.Conv2d(8, 8, 3, padding=1) for _ in range(8)))
        layers = {
            "head": nn.Conv2d(3, 8, 3, padding=1),
            "body": body,
            "tail": nn.Conv2d(8, 48, 3, padding=1),
            "large": nn.PixelShuffle(4),
        }
        names |= {
            "loader": [(torch.rand(2, 3, 24, 24), torch.rand(2, 3, 96, 96))] * 2,
            "my_network": nn.Sequential(OrderedDict(layers)),
        }
    return code


def run(line: str, page: str) -> None:
    """A command, made quick: `ibsd` in this process; of other tools, that what they name is
    there."""
    line = re.sub(r"photographs=FOLDER", "photographs=photographs", line)
    words = shlex.split(re.sub(r"\b(FOLDER|PAIRS)\b", "pairs", line), comments=True)
    tool, *rest = itertools.dropwhile(
        re.compile(r"[A-Z_]+=").match, words
    )  # after what the shell sets for it
    tool = tool.removeprefix("upscaling/bin/")  # of the environment that a page makes
    if tool == "ibsd":
        again = page != "commands.md" and " ".join(rest).replace("pairs/", "pairs") in COMPARED
        card = Path(page).stem in SHIPPED  # weights/test_shipped.py opens and runs them all
        assert not card or page.removesuffix(".md") == rest[-1], f"{page} shows {rest[-1]}"
        understood(rest) if again or card else run_ibsd(rest)
    elif tool == "torchrun":
        understood(rest[rest.index("ibsd") + 1 :])
    elif tool == "make":
        assert re.search(rf"^{rest[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), line
    elif tool == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
            "optional-dependencies"
        ]
        assert rest[0] == "install" and all(
            name in extras for name in re.findall(r"\[(\w+)\]", rest[1])
        ), line
    elif tool == "python" and rest == ["-m", "venv", "upscaling"]:
        pass
    elif tool == "python" and rest[0] == "-c":
        compile(rest[1], line, "exec")
        exec(re.split(r";\s*", rest[1])[0], {})  # what it imports
    else:
        assert tool == "python" and (ROOT / rest[0]).is_file(), f"{line}: nobody tries this"


def run_ibsd(words: list[str]) -> None:
    command = words[0]
    exported = "onnx" in words or any(word.endswith(".xml") for word in words)
    if command in PARSED or command.startswith("-") or exported:
        understood(words)
        return
    if command == "train" and "/photographs-" in words[1]:  # test_recipes.py trains them
        understood(words)
        made = Path(load_config(Path(words[1]), words[2:]).run.folder)
        made.mkdir(parents=True, exist_ok=True)
        shutil.copy("last.safetensors", made)
        return
    if command == "train":
        words = [*words, *SMALL, *([] if any("weights=" in word for word in words) else [NARROW])]
    if "configs/compare-pairs.toml" in words:
        words = [
            *words,
            *(f"base.{word}" for word in SMALL if not word.startswith("run.")),
            "compare.seeds=[0]",
        ]
    if command == "compare":
        words.append(EXAMINE)
    if command == "students" and "--no-measure" not in words:
        words.append("--no-measure")
    if "--jobs" in words:
        words[words.index("--jobs") + 1] = "1"
    assert main(words) == 0, f"ibsd {shlex.join(words)}"


def understood(words: list[str]) -> None:
    app.parse_args(words, print_error=False, exit_on_error=False)


@pytest.mark.parametrize("command", USAGE, ids=lambda command: command.__name__)
def test_examples_in_help_are_understood(command: Any) -> None:
    examples = re.findall(r"^ *\$ ibsd (.*)$", command.__doc__, re.MULTILINE)
    assert examples
    for example in examples:
        understood(shlex.split(example))


def test_commands_and_options_within_sentences_exist(capsys: pytest.CaptureFixture[str]) -> None:
    options = {}
    for command in (command.__name__ for command in USAGE):
        main([command, "--help"])
        options[command] = set(re.findall(r"--[\w-]+", capsys.readouterr().out))
    tried = 0
    for page in EVERY:
        for command, rest in re.findall(
            r"`ibsd ([a-z]+)\b([^`]*)`", page.read_text(encoding="utf-8")
        ):
            assert command in options, f"{page.name}: ibsd {command}"
            assert set(re.findall(r"(?<!\S)--[\w-]+", rest)) <= options[command], (
                f"{page.name}: ibsd {command}{rest}"
            )
            tried += 1
    assert tried


def test_examples_in_configs_are_understood() -> None:
    tried = 0
    for path in (ROOT / "configs").glob("*.toml"):
        text = re.sub(r"\\\n# *", "", path.read_text(encoding="utf-8"))
        examples = re.findall(r"^# (?:\$ )?ibsd (.*?)(?:  .*)?$", text, re.MULTILINE)
        for example in examples:
            understood(shlex.split(example.rstrip(":;.")))
            assert (ROOT / shlex.split(example)[1]).is_file(), f"{path.name}: {example}"
            tried += 1
    assert tried


# -- links


def anchors(text: str) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE
    )
    return {
        re.sub(r" ", "-", re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()))
        for heading in headings
    }


@pytest.mark.parametrize("page", EVERY, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(
        r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    targets = re.findall(r"\]\(<?([^)>\s]+)>?\)", text)
    assert targets or "](" not in text
    for target in targets:
        if re.match(r"https?://", target):
            assert re.match(r"https?://[\w.-]+\.\w{2,}(/\S*)?$", target), target
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path) if path else page
        assert there.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{page.name}: {target}"


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name != "extending.md"],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_named_files_exist(page: Path) -> None:
    for name in re.findall(
        r"(?<![\w/])((?:src|tests|benchmarks|configs|examples|docs)/[\w./-]*\.(?:py|toml|md|sh))\b",
        page.read_text(encoding="utf-8"),
    ):
        assert (ROOT / name).is_file(), f"{page.name} names {name}"
