# Each command does its own set-up: a virtual environment with pinned versions.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
READY := $(VENV)/.ready
NODE_TESTS := tests/plugins/photoshop
NODE_READY := $(NODE_TESTS)/node_modules/.ready
PHOTO ?=
# Idle workers steal tests from busy ones, so that a long file does not come last and alone.
WORKERS ?= auto

.PHONY: demo serve test lint format release lock audit studio clean
.DEFAULT_GOAL := help

help:  ## Show the commands
	@grep -E '^[a-z]+:.*##' Makefile | sed -E 's/^([a-z]+):.*## /make \1\t/'

$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (once, a few minutes)..."
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

demo: $(READY)  ## Enhance a real portrait through the real bridge (PHOTO=... for your own)
	@$(BIN)/python -m benchmarks.demo $(if $(PHOTO),"$(PHOTO)")

serve: $(READY)  ## Run the bridge on port 17860
	@$(BIN)/gpen-bridge serve

test: $(READY) $(NODE_READY)  ## Run the whole test suite on all cores (WORKERS=1: on one)
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

# The Photoshop plug-in's tests: types and a browser driver. The plug-in itself needs nothing.
$(NODE_READY): $(NODE_TESTS)/package-lock.json
	@if command -v npm >/dev/null; then cd $(NODE_TESTS) && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.ready; \
	else echo "npm is not installed: the Photoshop plug-in's types and panel are not tested."; fi

lint: $(READY)  ## Lint, formatting, types, and who may import whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)  ## Format the code
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

release: $(READY)  ## Wheel, plug-ins, licences, SBOM and their checksums, in dist/
	@$(BIN)/python -m release

lock: $(READY)  ## Pins and hashes anew, after a change of dependencies
	@$(BIN)/python -m release lock

audit: $(READY)  ## Known holes in what is pinned (asks an advisory service: needs the internet)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[audit]'
	@$(BIN)/pip-audit --strict --require-hashes --disable-pip -r requirements/bridge.txt -r requirements/torch.txt -r requirements/studio.txt

studio: $(READY)  ## Run a real cluster of Ray here and break it (Linux; installs Ray, 240 MB)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[studio]' grpcio
	@$(BIN)/python -m benchmarks.studio

clean:  ## Remove the environment and what the demo wrote
	@rm -rf $(VENV) demo build dist
