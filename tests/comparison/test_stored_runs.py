"""The runs that are committed belong to the configs that are committed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ibsd.commands.plan import Comparison
from ibsd.comparison.store import FILE, Store
from ibsd.config.comparison import load_compare_config
from ibsd.training.result import RAW

ROOT = Path(__file__).parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "benchmarks").glob(f"*/{FILE}"))


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_stored_run_is_one_that_its_config_asks_for(folder: Path) -> None:
    """Renaming an option, or changing what a default means, would lose runs that cost hours."""
    config = load_compare_config(ROOT / "configs" / f"{folder.name}.toml")
    comparison, store = Comparison(config), Store(folder)
    shown = [
        record
        for name in comparison.names
        if (record := store.find(comparison.request(name, with_data=False), any_numerics=True))
    ]
    assert len(shown) == len(store.records)
    assert store.examinations.keys() <= {record.identity.key for record in shown}
    images = sum(
        len(test.images)
        for record in shown
        for test in record.tests.values()
        if RAW in test.scores  # a row of a matrix keeps one figure
    )
    assert (folder / FILE).stat().st_size < max(500_000, 120 * images)
