"""The command line. `main.py` is the entry point; one module per command, each importing torch only
when it runs."""
