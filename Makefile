# Two commands for a newcomer, each from a bare Python >= 3.11: `make demo` and `make test`.
.PHONY: help demo test lint format types rooms tests screenshot bench-nonfinite corpus mutation clean
.NOTPARALLEL:
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
DEMO := .demo/$(shell date +%Y%m%d-%H%M%S)-$(shell echo $$PPID)

help:
	@echo "make demo        train with a bug on board, read what graddebug finds, look at the recording"
	@echo "make test        everything CI runs"
	@echo "make format      put the source into its one format"
	@echo "make screenshot  draw the README's picture anew"
	@echo "make bench-nonfinite   renew docs/nonfinite.md: answers and cost of detect_anomaly and of graddebug"
	@echo "make corpus      renew docs/corpus.md: precision and recall of each rule"
	@echo "make mutation    renew docs/mutation.md: one line of each correct program removed or moved"
	@echo "make clean       remove the environment and what demo and tools left"

# --- the environment ------------------------------------------------------------------------
# torch comes first and by its exact release: any other way to ask may bring another build of it.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "graddebug needs Python 3.11 or newer, seen $$($(PYTHON) --version): try make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@echo "==> making the environment in .venv (once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0 numpy hatchling editables
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@

# --- what a newcomer runs -------------------------------------------------------------------
demo: $(READY)
	@$(BIN)/python -m graddebug run -o $(DEMO) examples/zero_grad_forgotten.py
	@if [ -t 0 ] && [ -t 1 ]; then $(BIN)/graddebug-tui replay $(DEMO); else $(BIN)/graddebug show $(DEMO); fi

# $(call check,NAME,COMMAND): one step of `make test`, which ends with a clear line where it fails.
define check
@echo "==> $(1)"
@$(2) || { echo "make test stopped: $(1) failed" >&2; exit 1; }
endef

test: lint types rooms tests
	@echo "==> all checks passed"

lint: $(READY)
	$(call check,ruff check,$(BIN)/ruff check .)
	$(call check,ruff format,$(BIN)/ruff format --check .)

types: $(READY)
	$(call check,mypy,$(BIN)/mypy)

rooms: $(READY)
	$(call check,lint-imports,$(BIN)/lint-imports)

tests: $(READY)
	$(call check,pytest,$(BIN)/python -m pytest -n auto --maxprocesses 8)

# --- now and then ---------------------------------------------------------------------------
format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshot: $(READY)
	$(BIN)/python -m graddebug run --quiet -o $(DEMO) examples/zero_grad_forgotten.py
	$(BIN)/graddebug-tui replay $(DEMO) --screenshot docs/images/replay.svg --screen findings --size 110x32

ROUNDS ?= 9
bench-nonfinite: $(READY)
	$(BIN)/python benchmarks/nonfinite.py --rounds $(ROUNDS) --write docs/nonfinite.md

corpus: $(READY)
	$(BIN)/python benchmarks/corpus.py --write

mutation: $(READY)
	$(BIN)/python benchmarks/mutation.py --write

clean:
	rm -rf .venv .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
