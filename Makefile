# make reproduce   everything: environment, data, trainings, tables, figures
# make sync        bring Snakemake's and DVC's records level after either has run
# make paper       every run of the paper's tables, with three seeds: hours; changes params.yaml
# make setup       the environment .venv alone, which every other target begins with
# make test        the tests
# make coverage    the tests, and which lines they run (of the tests' own processes)
# make lint        the style of Python and Snakemake files
# make docs        build the documentation into site/, links checked
# make graph       draw the rules into docs/reference/graph.svg (needs Graphviz)
# make lock        follow a change of the dependencies in pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help reproduce paper test coverage lint sync docs graph lock setup
.NOTPARALLEL:

SYSTEM_PATH := $(subst $(CURDIR)/.venv/bin:,,$(PATH))
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# The user of a container may have no name, and both engines ask for it.
export USER ?= $(shell id -u)
unexport PYTHONHOME PYTHONPATH PYTHONSTARTUP

SUPPORTED := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

reproduce: setup
	@snakemake
	@python -m workflow.compare

paper: setup
	@python -m workflow.paper
	@$(MAKE) --no-print-directory reproduce

sync: setup
	@python -m workflow.sync

# One thread in each of the tests' processes: more would fight over the cores. A process without work
# takes over some of another's last tests.
test: setup
	@OMP_NUM_THREADS=1 pytest -n auto --dist worksteal

coverage: setup
	@OMP_NUM_THREADS=1 pytest -n auto --dist worksteal --cov --cov-report=term

lint: setup
	@ruff check
	@ruff format --check
	@snakefmt --check Snakefile workflow
	@snakemake --lint
	@mypy

docs: setup
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

graph: setup
	@snakemake --rulegraph dot | tred | dot -Tsvg > docs/reference/graph.svg

lock: setup
	@uv pip compile pyproject.toml --extra pipeline --extra onnx --extra dev --universal --generate-hashes --no-annotate \
		--no-emit-package torch --custom-compile-command "make lock" --quiet -o requirements.lock

# Asked each time; where nothing is to be done that takes a tenth of a second.
setup:
	@for python in python3.11 python3.12 python3.13 python3; do \
		if PATH='$(SYSTEM_PATH)' $$python -I -c '$(SUPPORTED)' 2>/dev/null; then \
			PATH='$(SYSTEM_PATH)' exec $$python -I workflow/setup.py; \
		fi; \
	done; \
	echo 'error: no Python of version 3.11, 3.12 or 3.13 (with venv) on the PATH' >&2; exit 1
