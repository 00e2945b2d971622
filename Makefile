# The two commands a newcomer needs: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
# The extras that the demo, the tests and the checks need. The arena alone needs none of them.
EXTRAS := postgres,training,dev
# uv's torch backend: `TORCH_BACKEND=cpu make demo` takes the small CPU build from PyTorch's own index.
TORCH_BACKEND ?=
DEMO ?=
# How many test processes run side by side; the tests of one file stay together.
WORKERS ?= 2

.PHONY: help setup demo test check format lock image-check clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## Build .venv with the pinned versions

$(VENV)/.ready: pyproject.toml constraints.txt scripts/build_venv.sh
	@TORCH_BACKEND="$(TORCH_BACKEND)" scripts/build_venv.sh $(VENV) "$(EXTRAS)"
	@touch $@

demo: setup ## Walk the whole road and open the site; DEMO="--no-serve" hands options to `canvas demo`
	@$(BIN)/canvas demo $(DEMO)

test: setup ## Run every test, those in a real browser among them
	@scripts/find_chromium.sh --install > /dev/null
	@CHROMIUM="$$(scripts/find_chromium.sh)" $(BIN)/pytest -n $(WORKERS) --dist loadfile

check: setup ## Format, lint, types, arrows between the rooms, Dockerfile
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports --no-logo 2> >(cat >&2)
	@$(BIN)/mypy
	@$(BIN)/hadolint Dockerfile

format: setup ## Let ruff put the code in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: setup ## Renew constraints.txt: exact versions, no addresses
	@scripts/lock.sh

image-check: setup ## Run the arena image's build steps in a fresh folder, without a Docker engine
	@$(BIN)/pytest tests/architecture/test_arena_image.py

clean: ## Remove .venv and caches; the demo's folder stays
	@rm -rf $(VENV) .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
