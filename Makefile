# Every target sets up all it needs: a .venv from requirements.lock, made once and again when the pins change.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
ARGS   ?=
# Half of what a test does is to wait for processes and disks.
WORKERS = $$((2 * $$(nproc)))

.PHONY: help setup demo test crash mutants lint format docs serve protos bench lock clean

help:  ## Show the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

setup: $(STAMP)  ## Make .venv from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## A sample library, a server, edits, a sync and the proof (ARGS=--exit ends by itself)
	$(BIN)/indelibled demo $(ARGS)

test: setup  ## All tests (ARGS=… goes to pytest)
	$(BIN)/pytest -n $(WORKERS) $(ARGS)

crash: setup  ## The crash tests, long: every state, every system call, 10,000 collisions (ARGS=…)
	INDELIBLE_LONG=1 $(BIN)/pytest -n $(WORKERS) --timeout 3600 tests/crash $(ARGS)

mutants: setup  ## Plant a fault for each invariant, and see its test turn red (ARGS=I2 …)
	$(BIN)/python -P tests/crash/mutants.py $(ARGS)

lint: setup  ## Formatting, lint, types, import directions, protos and their drift
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cd protos && ../$(BIN)/buf lint
	$(BIN)/python protos/generate.py --check

format: setup  ## Format and mend what ruff can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## Measure the whole way on this machine (ARGS=…)
	PYTHONPATH=tests $(BIN)/python -P tests/bench/whole_way.py $(ARGS)

docs: setup  ## Renew what is generated: the table diagram of server/DESIGN.md, server/FORMATS.md
	$(BIN)/python -m indelible_server.storage.diagram server/DESIGN.md
	$(BIN)/python -m indelible_server.files.capabilities server/FORMATS.md

serve: setup  ## Run the server with its defaults
	$(BIN)/indelibled serve $(ARGS)

protos: setup  ## Generate the code beside the protos
	$(BIN)/python protos/generate.py

lock:  ## Renew the pins (needs uv)
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --upgrade -o requirements.lock --quiet

clean:  ## Remove what the targets made
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache dist
