"""Upscaling photographs with a trained student.

- `upscaler.py`: one picture in memory. `folders.py`: files and folders of any size.
- `file_jobs.py`: which files become which.
- `size.py`: the size of a result. `passes.py`: several passes through the network.
- `strips.py`: a photograph row of tiles by row of tiles. `window.py`: the rows that it holds.
- `tiling.py`: which tiles, and how their results are put together. `alpha.py`: transparency.

Nothing here knows how a student was trained, and nothing needs torch unless the student does.
"""

from ibsd.inference.network import Network
from ibsd.upscaling.file_jobs import FileJob, FileJobs, file_jobs
from ibsd.upscaling.folders import (
    FileResult,
    check_quality,
    summary_of_counts,
    summary_of_files,
    upscale_files,
    upscale_job,
    upscale_jobs,
)
from ibsd.upscaling.size import Size
from ibsd.upscaling.strips import upscaled_strips
from ibsd.upscaling.tiling import tiled
from ibsd.upscaling.upscaler import upscale

__all__ = [
    "FileJob",
    "FileJobs",
    "FileResult",
    "Network",
    "Size",
    "check_quality",
    "file_jobs",
    "summary_of_counts",
    "summary_of_files",
    "tiled",
    "upscale",
    "upscale_files",
    "upscale_job",
    "upscale_jobs",
    "upscaled_strips",
]
