"""The local page: photographs are dropped on it and come back larger.

`site.py` answers requests behind `doorkeeper.py`; `desk.py` knows every job and hands it to
`worker.py`, a process of its own that may be killed at any time; `view.py` makes what the page
shows of a photograph. The server itself never imports torch.
"""
