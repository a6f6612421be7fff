# make reproduce   everything: environment, data, trainings, tables, figures
# make paper       every run of the paper's tables, with three seeds: hours; changes params.yaml
# make test        the tests
# make lint        the style of Python and Snakemake files
# make sync        bring Snakemake's and DVC's records level after either has run
# make graph       draw the rules into docs/graph.svg (needs Graphviz)
# make lock        follow a change of the dependencies in pyproject.toml

.DEFAULT_GOAL := reproduce
.PHONY: reproduce paper test lint sync graph lock setup
.NOTPARALLEL:

SYSTEM_PATH := $(subst $(CURDIR)/.venv/bin:,,$(PATH))
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONHOME PYTHONPATH

SUPPORTED := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PIP := python -m pip install -qq

reproduce: setup
	@python -m workflow.unlock
	@snakemake
	@python -m workflow.sync

paper: setup
	@python -m workflow.paper
	@$(MAKE) reproduce

sync: setup
	@python -m workflow.sync

# One thread in each of the tests' processes: more would fight over the cores. A process without work
# takes over some of another's last tests.
test: setup
	@OMP_NUM_THREADS=1 pytest -n auto --dist worksteal

lint: setup
	@ruff check
	@ruff format --check
	@snakefmt --check Snakefile workflow
	@snakemake --lint
	@mypy

graph: setup
	@snakemake --rulegraph dot | tred | dot -Tsvg > docs/graph.svg

lock: setup
	@uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-annotate \
		--no-emit-package torch --custom-compile-command "make lock" --quiet -o requirements.lock

setup: .venv/.complete

# The stamp is written last: without it, an environment is half made and is begun again.
# torch has a step of its own, because each platform has a build of its own, and no hash fits all.
.venv/.complete: requirements.lock pyproject.toml
	@set -e; \
	for python in python3.11 python3.12 python3.13 python3; do \
		if PATH="$(SYSTEM_PATH)" $$python -c '$(SUPPORTED)' 2>/dev/null; then break; fi; \
		python=; \
	done; \
	if [ -z "$$python" ]; then \
		echo 'error: no Python of version 3.11, 3.12 or 3.13 (with venv) on the PATH' >&2; exit 1; \
	fi; \
	if [ ! -e $@ ]; then PATH="$(SYSTEM_PATH)" $$python -m venv --clear .venv; fi; \
	rm -f $@
	@echo 'set-up 1/3: torch'
	@$(PIP) $$(grep -oE '"torch==[0-9.]+"' pyproject.toml | tr -d '"')
	@echo 'set-up 2/3: everything else'
	@$(PIP) --require-hashes -r requirements.lock
	@echo 'set-up 3/3: this project'
	@$(PIP) --no-deps --no-build-isolation --editable .
	@python -m workflow.plots_template
	@dvc config --local plots.html_template plots.html
	@touch $@
