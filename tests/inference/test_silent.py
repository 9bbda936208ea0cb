import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ibsd

PACKAGE = Path(ibsd.__file__).parent


@pytest.mark.slow
def test_openvino_tells_nobody(tmp_path: Path) -> None:
    """By itself it writes an identity to ~/intel and sends it, except where CI is set."""
    code = """
import multiprocessing.process, sys
multiprocessing.process.BaseProcess.start = lambda process: print("started")
from ibsd.inference.openvino_backend import openvino
print(openvino.Core().available_devices, openvino.convert_model.__module__)
"""
    surroundings = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=surroundings | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["['CPU']", "openvino.tools.ovc.convert"]
    assert not list(tmp_path.iterdir())


def test_it_is_imported_in_no_other_way() -> None:
    plain = re.compile(r'^ *(import|from) (openvino|nncf)|import_module\("(openvino|nncf)', re.M)
    for path in PACKAGE.rglob("*.py"):
        assert not plain.search(path.read_text(encoding="utf-8")), path
