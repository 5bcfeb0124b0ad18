# make demo   fuse a small generated archive
# make test   run the tests but for the longest; make test-slow runs those
# make lint   style, types
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOOPBACK := sh infra/loopback.sh
LOCK := infra/requirements.lock
INSTALLED := $(VENV)/.installed
# A file at a time to each of two workers, for the tests of a file share servers; in the order of
# tests/conftest.py. (loadgroup does nothing under pytest 9.2, pytest-xdist's issue 1386.)
IN_TWO := --numprocesses 2 --dist loadfile --no-loadscope-reorder
PYTEST := $(BIN)/python -m pytest $(IN_TWO)

# A program of the tests finds their helpers as pytest does.
PROGRAM := PYTHONPATH=$(CURDIR)/tests/support $(BIN)/python

# Prefect and Ray report usage to their makers unless told not to; Prefect's database is kept here.
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export DO_NOT_TRACK := 1
export RAY_USAGE_STATS_ENABLED := 0
export PREFECT_HOME := $(CURDIR)/.prefect
# Hundreds of processes would each compile the same modules.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test test-slow test-s3 test-browser wheel-check chaos faults corpus fuzz declared benchmark benchmark-parts benchmark-gpu benchmark-memory benchmark-run-end picture lint types audit lock image-digests clean benchmark-stac benchmark-readers benchmark-planning benchmark-video benchmark-registration benchmark-weights
help:
	@sed -n 's/^# //p' Makefile

# In one go: a second install may break the version ranges that the first resolved. Of some 20,000
# modules only those are compiled that are imported.
$(INSTALLED): pyproject.toml $(LOCK)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint $(LOCK) --editable '.[dev]'
	$(BIN)/python -c 'import prefect.server.api.server, flows.fuse_archive, actors.fusion_actor, torch'
	$(BIN)/python -c 'from fusion_core.metrics.kernels import tile_kernels as t; t.compile_all()'
	touch $@

install: $(INSTALLED)

demo: $(INSTALLED)
	$(LOOPBACK) $(BIN)/fuse-archive demo

test: $(INSTALLED)
	$(LOOPBACK) $(PYTEST) -m 'not long and not browser'

test-slow: LONG ?= long
test-slow: $(INSTALLED)
	$(LOOPBACK) $(PYTEST) -m '$(LONG)'

# The S3 tests again, on radosgw, a real object store (installed from Debian's packages).
test-s3: $(INSTALLED)
	sh infra/test-s3.sh $(BIN)/python $(IN_TWO)

# What a person sees of Prefect and of reports, in a real browser (Debian's Chromium).
test-browser: $(INSTALLED)
	sh infra/test-browser.sh $(BIN)/python

# Installs the wheel into an environment of its own, and fuses two pairs away from the checkout.
wheel-check:
	sh infra/wheel-check.sh $(PYTHON)

# Has workers, nodes, drivers, GPUs, memory and the store fail, and audits what is left.
chaos: SEED ?= 7
chaos: KILLS ?= 1000
chaos: $(INSTALLED)
	$(LOOPBACK) env $(PROGRAM) tests/chaos/chaos.py --seed $(SEED) --kills $(KILLS)

# Runs over a store on which things go wrong, and records what came of it, fault by fault.
faults: $(INSTALLED)
	$(LOOPBACK) env $(PROGRAM) tests/benchmarks/fault_matrix.py

# Works off an archive of hostile files and records what became of each.
corpus: $(INSTALLED)
	$(PROGRAM) tests/corpus/record_corpus.py

# Decodes mutants of files of every kind for MINUTES, and records what came of it.
fuzz: SEED ?= 1
fuzz: MINUTES ?= 5
fuzz: $(INSTALLED)
	$(PROGRAM) tests/corpus/fuzz_decoders.py --seed $(SEED) --minutes $(MINUTES) --record

# Walks the table of what files declare, container by container, and records each cell.
declared: $(INSTALLED)
	$(PROGRAM) tests/declared/record_table.py

# One table of ratios, of things that run in turn: ten minutes, and twenty with another checkout
# beside it, by AGAINST=FOLDER.
benchmark: $(INSTALLED)
	$(LOOPBACK) env $(PROGRAM) tests/benchmarks/benchmark.py $(if $(AGAINST),--against $(AGAINST))

# What metrics and scenes cost, in detail: a quarter of an hour.
benchmark-parts: $(INSTALLED)
	$(PROGRAM) tests/benchmarks/bench_metrics.py
	$(LOOPBACK) env $(PROGRAM) tests/benchmarks/bench_scenes.py

# On one CUDA card, in eight minutes at most.
benchmark-gpu: $(INSTALLED)
	$(PROGRAM) tests/benchmarks/bench_gpu.py

# Runs where workers may take little memory: ten minutes on two cores, 16 GiB.
benchmark-memory: $(INSTALLED)
	$(LOOPBACK) env $(PROGRAM) tests/benchmarks/bench_memory.py

# The end of a run of a million pairs: two minutes, 2 GB of disk.
benchmark-run-end: $(INSTALLED)
	$(PROGRAM) tests/benchmarks/bench_run_end.py

# Plans nights after histories of up to ten million rows, and a first night of as many pairs: five
# minutes, 10 GB of disk.
benchmark-planning: $(INSTALLED)
	$(PROGRAM) tests/benchmarks/bench_planning.py

# Catalogues a million scenes, opens them, and catalogues some nights more: three minutes.
benchmark-stac: $(INSTALLED)
	$(PROGRAM) tests/benchmarks/bench_stac.py

# How steady and how fast clips are fused, and what a kill leaves: most of an hour.
benchmark-video: $(INSTALLED)
	$(LOOPBACK) env $(PROGRAM) tests/benchmarks/bench_video.py

# Shifts found and mended on real pairs, false alarms, and other libraries (SimpleITK and kornia, where
# they are installed): half an hour.
benchmark-registration: $(INSTALLED)
	$(PROGRAM) tests/benchmarks/bench_registration.py

# Seven means, a detector's AP, skies and black by the packaged weights and the baselines: half an hour.
benchmark-weights: $(INSTALLED)
	$(LOOPBACK) env $(PROGRAM) tests/benchmarks/bench_weights.py

# The README's queries over a manifest of ten million rows, with pandas, DuckDB and Polars.
benchmark-readers: $(INSTALLED)
	$(PROGRAM) tests/benchmarks/bench_readers.py

# Draws infra/demo.png, which the README shows.
picture: $(INSTALLED)
	$(BIN)/python infra/demo_picture.py

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

# What is known against the locked versions. It asks PyPI, so it is no part of the tests; in an
# environment of its own, for pip-audit's own requirements are none of ours.
audit:
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet 'pip-audit>=2.9'
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement $(LOCK)

# Exact versions of what the environment holds now, and of what Ray's dashboard needs beside it, which
# the tests do without; torch's build tag is left out, so that the lock fits CPU and CUDA builds.
REPORTED := import json, sys; \
  print(*sorted("{name}=={version}".format(**one["metadata"]) for one in json.load(sys.stdin)["install"]), sep="\n")
lock:
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/^torch==\([0-9.]*\).*/torch==\1/' > $(LOCK)
	$(BIN)/python infra/image_requirements.py dashboard | $(BIN)/python -m pip install --quiet --dry-run \
		--report - --constraint $(LOCK) --requirement /dev/stdin \
		| $(BIN)/python -c '$(REPORTED)' > infra/dashboard.lock

# What the tags of the images that are pinned by digest name now.
image-digests:
	@for image in $$(grep -rhoE '(python|postgres):[0-9][^@ ]*@sha256' infra | sort -u); do \
		tag=$${image%@*}; echo "$$tag@$$(docker buildx imagetools inspect --format '{{.Manifest.Digest}}' "$$tag")"; \
	done

clean:
	rm -rf $(VENV) .prefect demo-archive build *.egg-info
