"""Imported by the server of processes.py after all else: garbage collection then leaves alone what
it has loaded, and its forks do not copy those pages."""

from __future__ import annotations

import atexit
import gc

gc.freeze()
atexit.register(gc.unfreeze)
