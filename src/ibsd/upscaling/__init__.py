"""Upscaling photographs with a finished student: `tiling.py` (bounded memory), `upscaler.py` (one picture), `folders.py` (many files).

Nothing here knows how a student was trained.
"""

from ibsd.upscaling.folders import Result, summary, upscale_files
from ibsd.upscaling.tiling import tiled
from ibsd.upscaling.upscaler import upscale, upscale_photo

__all__ = ["Result", "summary", "tiled", "upscale", "upscale_files", "upscale_photo"]
