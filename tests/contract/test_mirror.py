"""tests/ROOM/test_FILE.py holds the tests of src/ibsd/ROOM/FILE.py, so that each is found by the
other's name. Files whose laws span several source files are listed here."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]
SOURCE = TESTS.parent / "src" / "ibsd"

WITHOUT_ROOM = {"browser", "contract", "examples", "faults", "fuzzing"}
"""Folders of laws of the whole program: its pages in a browser, its documents and imports, its
examples and recipes, failing machines, bad input."""
ACROSS_FILES = {
    "app/test_hostile.py": "good and bad requests at once, through the whole server",
    "cli/test_bad_input.py": "mistakes of the user, for every command",
    "cli/test_json.py": "--json of every command",
    "comparison/test_batches.py": "arms of one seed see the same batches",
    "comparison/test_degradations.py": "families, from the config to the page",
    "comparison/test_methods.py": "every objective can be compared",
    "comparison/test_stored_runs.py": "the runs in benchmarks/ fit their configs",
    "distillation/test_every_objective.py": "laws of every objective",
    "distillation/test_views.py": "objectives with a view",
    "images/test_nasty.py": "nasty files, through every reader",
    "information/test_kernels.py": "the forms of the bound agree: a folder",
    "students/test_every_student.py": "laws of every student",
    "students/test_parity.py": "outputs equal the published networks'",
    "students/test_published_sizes.py": "parameter counts equal the published ones",
    "test_numerics.py": "losses of every objective",
    "training/test_deferred.py": "deferred steps, in trainer and guard",
    "training/test_kills.py": "kill -9 in training",
    "training/test_resume.py": "resumed runs equal uninterrupted ones",
    "weights/test_shipped.py": "the weight files in the package",
}


def test_every_test_file_is_named_after_its_source_file_or_says_what_it_spans() -> None:
    without_source = {
        path.relative_to(TESTS).as_posix()
        for path in TESTS.rglob("test_*.py")
        if path.relative_to(TESTS).parts[0] not in WITHOUT_ROOM
        and not mirrored(path.relative_to(TESTS)).is_file()
    }
    assert without_source == set(ACROSS_FILES)


def mirrored(test: Path) -> Path:
    return SOURCE / test.with_name(test.name.removeprefix("test_"))


def test_every_folder_of_tests_is_one_of_the_source() -> None:
    folders = {path.name for path in TESTS.iterdir() if list(path.glob("test_*.py"))}
    assert {name for name in folders if not (SOURCE / name).is_dir()} == WITHOUT_ROOM
