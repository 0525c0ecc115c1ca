# Everything a newcomer does with Clickloop. Each target sets up what it needs by itself.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help serve demo test check format docs bench screenshots clean

help: ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

serve: $(VENV)/serve.ready ## Run the tracker (data in ./data; ARGS="--listen 0.0.0.0:80" for options)
	@exec $(BIN)/clickloop serve $(ARGS)

demo: $(VENV)/serve.ready ## Play the whole loop with a simulated source and network (ARGS=--keep keeps it running)
	@$(BIN)/clickloop demo $(ARGS)

test: $(VENV)/dev.ready ## Run all tests
	@tools/system_packages strace chromium busybox dash nginx
	@$(BIN)/python -m compileall -q src tests # else each of the hundreds of processes that tests start does, where bytecode is not written
	@# With bytecode: the asserts of all tests are rewritten once, not by every worker of every run.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/dev.ready ## Check format, lint, types, import contracts and generated docs
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python docs/generate.py --check

format: $(VENV)/dev.ready ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(VENV)/dev.ready ## Write the generated pages of docs/reference
	@$(BIN)/python docs/generate.py

bench: $(VENV)/dev.ready ## Run all benchmarks and write bench/results.md
	@tools/system_packages nginx wrk
	@$(BIN)/python -m bench.run $(ARGS)

screenshots: $(VENV)/dev.ready ## Take screenshots of every page, wide and narrow, light and dark (into ./screenshots)
	@tools/system_packages chromium
	@$(BIN)/python -m tools.screenshots $(ARGS)

clean: ## Remove the virtual environment and caches; your data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/pip:
	@tools/virtual_environment $(PYTHON) $(VENV)

$(VENV)/serve.ready: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "Installing Clickloop into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --use-pep517 -c constraints.txt -e . && touch $@
	@$(BIN)/python -m compileall -q src

$(VENV)/dev.ready: pyproject.toml constraints.txt | $(VENV)/bin/pip
	@echo "Installing Clickloop and its tools into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --use-pep517 -c constraints.txt -e '.[dev]' && touch $@ $(VENV)/serve.ready
