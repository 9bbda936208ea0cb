"""The local web page: photographs are dropped on it and come back upscaled.

- `server.py`: the socket, the private folder and the end of the server.
- `access.py`: which requests are let in. `routes.py` answers them, `uploads.py` takes files,
  `archive.py` gives all results as one.
- `jobs.py`: open pages and their photographs, from upload to result. `limits.py`: how many.
- `worker_process.py` starts `worker.py`, a process that may be killed at any time. It reads and
  upscales photographs, and `previews.py` makes what the page shows of them. `parts.py` upscales a
  part of a large one before the whole.
- `offered_weights.py`: the weights to choose from.

The server itself never imports torch.
"""
