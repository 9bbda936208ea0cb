"""The files that `ibsd compare` writes about all runs of a comparison: results, pages, plots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ibsd.commands.pictures import loaded, scenes, spread
from ibsd.commands.plan import Comparison, work_folder
from ibsd.comparison.design import RunName
from ibsd.comparison.results import Results
from ibsd.comparison.store import RunRecord
from ibsd.config.comparison import CompareConfig
from ibsd.data.presets import find_preset
from ibsd.evaluation.matrix import degraded_pairs
from ibsd.evaluation.scores import LoadedPair
from ibsd.reporting.comparison import comparison_document, comparison_html
from ibsd.reporting.pictures import scenes_section
from ibsd.students import load_student
from ibsd.system import write_whole
from ibsd.training.result import AVERAGED, WEIGHT_FILES
from ibsd.types import InputError

FILE = WEIGHT_FILES[AVERAGED]
MOST_ARMS = 4
"""Arms beside each other in pictures."""


def before_and_after(comparison: Comparison, records: Mapping[RunName, RunRecord]) -> str:
    """HTML of images of the first unseen test set, by the baseline and the first treatments of one
    seed; "" if weights or images are gone. They are made after all scores, and nothing is chosen by
    them."""
    design = comparison.design()
    treatments = [
        arm
        for arm, content in design.arms.items()
        if content.role == "treatment" and arm != design.baseline
    ]
    for setting, content in design.settings.items():
        unseen = [test for test, role in content.whole_tests().items() if role == "unseen"]
        names = [RunName(setting, arm, design.seeds[0]) for arm in (design.baseline, *treatments)]
        files = {
            name.arm: work_folder(comparison.config, records[name].identity) / FILE
            for name in names
            if name in records
        }
        shown = {arm: path for arm, path in files.items() if path.is_file()}
        if not unseen or len(shown) < 2:
            continue
        try:
            pictures = shown_pictures(comparison, names[0], unseen[0])
        except InputError:  # moved or removed since
            continue
        students = {arm: load_student(path) for arm, path in list(shown.items())[:MOST_ARMS]}
        about = (
            f"{content.title}: images of {unseen[0]}, which no run has seen, by the averaged "
            f"weights of seed {design.seeds[0]}."
        )
        return scenes_section(scenes(students, pictures), about=about)
    return ""


def shown_pictures(comparison: Comparison, name: RunName, test: str) -> list[LoadedPair]:
    """Some pairs of a test set. Photographs are each degraded in another way."""
    pairs = spread(comparison.pairs(name)[1][test])
    content = comparison.config.tests[name.setting][test]
    if not content.families:
        return [loaded(pair) for pair in pairs]
    scale = comparison.run_config(name).student.scale
    pictures: list[LoadedPair] = []
    for pair, preset in zip(pairs, spread(content.families, len(pairs)), strict=False):
        [(title, lr, hr)] = degraded_pairs([pair.hr], find_preset(preset), scale, content.crop_px)
        pictures.append((f"{title}, {preset}", lr, hr))
    return pictures


def report_path(config: CompareConfig) -> Path:
    return Path(config.options.folder) / "report.html"


def write_results(config: CompareConfig, results: Results, pictures: str = "") -> None:
    """`results.json` and `report.html` in the folder of runs, the page where the config wants it,
    and its plots beside it."""
    options = config.options
    folder = Path(options.folder)
    target = Path(options.page) if options.page else folder / "results.md"
    remarks = Path(options.remarks).read_text(encoding="utf-8") if options.remarks else ""
    for made in (folder, target.parent):
        made.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "results.json", results.to_json())
    document = comparison_document(results, remarks)
    for name, svg in document.plots(target.stem).items():
        write_whole(target.with_name(name), svg)
    write_whole(target, document.markdown(target.stem))
    write_whole(report_path(config), comparison_html(results, remarks, pictures))
