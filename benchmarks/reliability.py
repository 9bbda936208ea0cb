"""Writes docs/reliability.md from what fuzz.py, kills.py, resources.py and the tests left in
benchmarks/results; with `--check` only compares.

`--tests FILE` first runs the tests that the page names, campaigns apart, and leaves their counts in
FILE (reliability-tests-....json).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"

PROMISES = (
    (
        "A run that is killed at any moment can be resumed. On a CPU the result equals an "
        "uninterrupted run bit for bit",
        "training/test_kills.py",
        "kills",
    ),
    (
        "A resumed run equals an uninterrupted one, also from an earlier checkpoint",
        "training/test_resume.py",
        "",
    ),
    (
        "A damaged newest checkpoint is skipped with a message. Older formats are read. A full "
        "disk costs no checkpoint",
        "training/test_checkpoint.py",
        "",
    ),
    (
        "A resume with other pairs, code or versions says so. `--deterministic` gives the same "
        "bits twice",
        "commands/test_run_record.py",
        "",
    ),
    (
        "SIGTERM and Ctrl-C save and end the run. A full disk ends it with a sentence",
        "cli/test_train.py",
        "",
    ),
    (
        "Full disks, read-only folders, memory limits, missing packages, vanishing files and "
        "signals end with a clear sentence. Nothing is lost",
        "faults/test_faults.py",
        "resources",
    ),
    (
        "Several processes equal one, except for the bound, whose rule is tested. If one is "
        "killed, the others end",
        "test_distributed.py",
        "",
    ),
    (
        "Bad input gives one sentence: no traceback, no hang, no file outside the output",
        "fuzzing/test_fuzz.py",
        "fuzz",
    ),
    (
        "Odd names, metadata that lie, closed streams, damaged runs: likewise. From a shared cache "
        "nothing of another user is executed",
        "fuzzing/test_fuzz.py",
        "surroundings",
    ),
    (
        "Weight files that claim more than they hold are refused before anything is allocated",
        "students/test_weight_files.py",
        "",
    ),
    (
        "Planted shifts are found within 0.05 LR pixel. Planted leaks and foreign pairs are found",
        "doctor/test_checkup.py",
        "",
    ),
    (
        "Read-only folders and existing files are refused. Nothing is overwritten",
        "cli/test_bad_input.py",
        "",
    ),
)


def newest(name: str) -> dict | None:
    found = sorted((ROOT / "benchmarks" / "results").glob(f"{name}-*.json"))
    return json.loads(found[-1].read_text()) if found else None


def figures(test: str, name: str) -> str:
    result = newest(name) if name else None
    if result is None:
        return counted(test)
    if name == "resources":
        ended = sum(each["processes"] for each in result["cases"].values())
        broken = sum("broken" in each for each in result["cases"].values())
        num_cases = len(result["cases"])
        return (
            f"{num_cases} faults in {ended} processes, "
            f"clear end: {num_cases - broken}, lost: {broken}"
        )
    if name == "kills":
        return f"{result['killed']} kills, {result['survived']} survived, lost: {result['lost']}"
    if mended := result.get("mended"):
        after = f"{len(result['broken'])} after {len(mended)} were mended"
    else:
        after = str(len(result["broken"]))
    cases = sum(kind["cases"] for kind in result["kinds"].values())
    refused = sum(kind["refused"] for kind in result["kinds"].values())
    return f"{cases:,} cases, {refused:,} refused with a sentence, broken: {after}"


def counted(test: str) -> str:
    """What the tests of a file came to when they were last counted."""
    result = newest("reliability-tests")
    if result is None or test not in result:
        return "in `make test`"
    return f"{result[test]['passed']} of {result[test]['tests']} tests hold"


def count_tests(path: Path) -> None:
    """Runs the tests of the promises that have no campaign of their own."""
    files = [test for _, test, name in PROMISES if not name]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            f"--junitxml={report}",
            *(str(ROOT / "tests" / test) for test in files),
        ]
        subprocess.run(command, cwd=ROOT)
        cases = list(ElementTree.parse(report).iter("testcase"))
    counts = {}
    for test in files:
        ours = [
            case
            for case in cases
            if case.attrib["classname"] == "tests." + test.removesuffix(".py").replace("/", ".")
        ]
        passed = sum(
            not any(child.tag in ("failure", "error", "skipped") for child in case) for case in ours
        )
        counts[test] = {
            "tests": len(ours),
            "passed": passed,
            "seconds": round(sum(float(case.attrib["time"]) for case in ours), 1),
        }
    path.write_text(json.dumps(counts, indent=1) + "\n")


def page() -> str:
    rows = [
        f"| {promise} | `tests/{test}` | {figures(test, name)} |"
        for promise, test, name in PROMISES
    ]
    kills, fuzz = newest("kills"), newest("fuzz")
    parts = [
        "# What is promised, and how it is tested\n",
        "<!-- Generated by `python benchmarks/reliability.py` from benchmarks/results; do not "
        "edit. -->\n",
        "| promise | test | last figures |\n|---|---|---|\n" + "\n".join(rows) + "\n",
    ]
    if kills:
        lines = [
            f"| {place} | {each['killed']} | {each['survived']} |"
            for place, each in kills["places"].items()
        ]
        parts.append(
            "kill -9 (`benchmarks/kills.py`):\n\n| moment | killed | survived |\n|---|---|---|\n"
            + "\n".join(lines)
            + "\n"
        )
    if fuzz:
        around = newest("surroundings") or {"kinds": {}}
        lines = [
            f"| {kind} | {each['cases']:,} | {each['done']:,} | {each['refused']:,} | "
            f"{each['slowest_seconds']} s |"
            for kind, each in (fuzz["kinds"] | around["kinds"]).items()
        ]
        header = (
            "| input | cases | accepted | refused | slowest, on a busy machine |\n"
            "|---|---|---|---|---|\n"
        )
        title = (
            "Bad input (`benchmarks/fuzz.py`; the last five with `--surroundings`, "
            "before mending):\n\n"
        )
        parts.append(title + header + "\n".join(lines) + "\n")
    resources = newest("resources")
    if resources:
        kinds: dict[str, list[dict]] = {}
        for case, each in resources["cases"].items():
            kinds.setdefault(case.split(":")[0], []).append(each)
        lines = [
            f"| {kind} | {len(ours)} | {sum(each['processes'] for each in ours)} | "
            f"{sum('broken' not in each for each in ours)} |"
            for kind, ours in kinds.items()
        ]
        header = "| fault | commands tried | processes | clear end |\n|---|---|---|---|\n"
        parts.append("Faults (`benchmarks/resources.py`):\n\n" + header + "\n".join(lines) + "\n")
        if many := resources.get("many"):
            rows = [
                f"| {each['what']} | {each['seconds']:,} s | {each['cpu_seconds']:,} s | "
                f"{each['most_mib']:,} MiB |"
                for each in many
            ]
            header = (
                "| 200,000 small files | on a busy machine | of the processor | memory |\n"
                "|---|---|---|---|\n"
            )
            parts.append(header + "\n".join(rows) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    if "--tests" in sys.argv:
        count_tests(Path(sys.argv[sys.argv.index("--tests") + 1]))
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != page())
    PAGE.write_text(page(), encoding="utf-8")
