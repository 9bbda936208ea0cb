# make demo    train, compare and upscale on embedded samples
# make test    everything that needs no GPU
# make check   the quick loop: format, lint, types, imports, fast tests
# make web     the page of ibsd export --format web, from web/; needs node 20
PYTHON ?= python3
BIN := .venv/bin
# What Python compiled once, tests included, serves every process after it: a third of their start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check types fast lowest format web clean
# Two workers, one thread each: threads that wait for one another cost a third of the processor time.
test fast: export OMP_NUM_THREADS := 1

demo: .venv/.core
	$(BIN)/ibsd demo --output runs/demo --force

test: .venv/.dev
	$(BIN)/python -m pytest --durations=10 -n 2 --dist loadfile

check: .venv/.dev
	$(BIN)/ruff format --check src tests benchmarks examples
	$(BIN)/ruff check src tests benchmarks examples
	$(MAKE) --jobs 2 --output-sync --no-print-directory types fast

types: .venv/.dev
	$(BIN)/lint-imports
	$(BIN)/pyright

fast: .venv/.dev
	$(BIN)/python -m pytest -m "not slow" -x -n 2 --dist loadfile

# Everything again with the oldest versions that pyproject.toml allows; torch and the tools of tests as pinned.
TOOLS := torch|pytest|pytest-xdist|hypothesis|playwright
lowest:
	$(PYTHON) -m venv --clear .venv/lowest
	{ sed -nE 's/.*"([A-Za-z-]+)>=([0-9.]+)[",;].*/\1==\2/p' pyproject.toml | \
	  grep -vE '^(setuptools|ruff|pyright|import-linter|triton|nncf|$(TOOLS))=='; \
	  grep -E '^($(TOOLS))==' constraints.txt; } | sort -u > .venv/lowest/versions.txt
	.venv/lowest/bin/pip install --quiet --disable-pip-version-check --requirement .venv/lowest/versions.txt --editable .
	.venv/lowest/bin/python -m pytest -n 2 --dist loadfile

format: .venv/.dev
	$(BIN)/ruff format src tests benchmarks examples
	$(BIN)/ruff check --fix src tests benchmarks examples

web:
	$(PYTHON) web/build.py

clean:
	rm -rf .venv build dist src/ibsd.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv

# Without an NVIDIA driver torch's CPU wheel is enough, a tenth of the size. Where its index cannot
# be reached, pip takes the wheel that it finds.
CPU_WHEELS ?= https://download.pytorch.org/whl/cpu
.venv/.torch: .venv/bin/python constraints.txt
	@command -v nvidia-smi >/dev/null || $(BIN)/python -c 'import torch' 2>/dev/null || \
	  $(BIN)/pip install --quiet --disable-pip-version-check --retries 0 --timeout 10 --no-deps \
	  --constraint constraints.txt --index-url $(CPU_WHEELS) torch >/dev/null 2>&1 || true
	@touch $@

.venv/.core: .venv/.torch pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[train]"
	@touch $@

.venv/.dev: .venv/.torch pyproject.toml constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@ .venv/.core
