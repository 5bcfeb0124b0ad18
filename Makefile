# make demo   fuse a small generated archive
# make test   run the tests
# make lint   style, types
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOOPBACK := sh infra/loopback.sh
LOCK := infra/requirements.lock
INSTALLED := $(VENV)/.installed

# Prefect and Ray report usage to their makers unless told not to; Prefect's database is kept here.
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1
export RAY_USAGE_STATS_ENABLED := 0
export PREFECT_HOME := $(CURDIR)/.prefect

.PHONY: help install demo test test-s3 benchmark lint types lock clean
help:
	@sed -n 's/^# //p' Makefile

# In one go: a second install may break the version ranges that the first resolved.
$(INSTALLED): pyproject.toml $(LOCK)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint $(LOCK) --editable '.[dev]'
	touch $@

install: $(INSTALLED)

demo: $(INSTALLED)
	$(LOOPBACK) $(BIN)/fuse-archive demo

test: $(INSTALLED)
	$(LOOPBACK) $(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

# The S3 tests again, on radosgw, a real object store (installed from Debian's packages).
test-s3: $(INSTALLED)
	sh infra/test-s3.sh $(BIN)/python

benchmark: $(INSTALLED)
	$(BIN)/python tests/benchmarks/bench_metrics.py
	$(LOOPBACK) $(BIN)/python tests/benchmarks/bench_scenes.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# Exact versions of what the environment holds now; torch's build tag is left out, so that the
# lock fits CPU and CUDA builds.
lock:
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/^torch==\([0-9.]*\).*/torch==\1/' > $(LOCK)

clean:
	rm -rf $(VENV) .prefect demo-archive build *.egg-info
