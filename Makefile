# Each of these sets up what it needs, on a machine with nothing but Python 3.11, pip and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: setup demo test test-slow fuzz check format bench clean

setup: $(READY)

# torch goes in first and pinned. On Linux pip takes a build with gigabytes of CUDA unless an index or a folder that it
# knows (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS) has PyTorch's CPU build of the same version.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/locum demo

test: $(READY)
	$(BIN)/python -m pytest -q

# Among them: the libraries that read a dataset folder train on one.
test-slow: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[interop,ray]'
	$(BIN)/python -m pytest -q -m slow

# Every reader against bytes that change; SECONDS for each format.
SECONDS ?= 60
fuzz: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -c 'from locum.sessions.registry import READERS; print(*(r.name for r in READERS))' | tr ' ' '\n' | \
	    xargs -I NAME $(BIN)/python tests/fuzz/fuzz_readers.py NAME -max_total_time=$(SECONDS)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Side by side with TRL + PEFT on the same rows, in one run, then what cost grows with; hours, on an idle machine.
# BENCH=--quick shows in minutes that everything runs.
BENCH ?=
bench: $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt trl
	$(BIN)/python benchmarks/train_vs_trl.py $(BENCH)
	$(BIN)/python benchmarks/train_scale.py $(BENCH)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
