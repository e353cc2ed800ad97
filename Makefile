# Two commands for a fresh machine: `make demo` and `make test`. Both make .venv first; both work again, and offline, afterwards.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := pipeline stages schemas tests docs benchmarks sample_corpus

.PHONY: demo test lint format types docs wheel clean

demo: $(VENV)/.installed
	$(BIN)/corpusmill run sample_corpus out --restart --set tokenize.vocabulary_size=4096
	@echo
	@echo "shards:  out/shards/    look inside: $(BIN)/corpusmill inspect out/shards/train-00000.parquet"
	@echo "report:  out/report.html"

test: $(VENV)/.test-installed
	$(BIN)/python -m pytest -q --numprocesses auto --dist loadfile

lint: $(VENV)/.dev-installed
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

format: $(VENV)/.dev-installed
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

# Type checkers do not follow finder-style editable installs, so they are shown the package as a tree of links.
types: $(VENV)/.dev-installed
	rm -rf .typing && mkdir -p .typing/corpusmill
	ln -s $(CURDIR)/pipeline/*.py $(CURDIR)/pipeline/py.typed $(CURDIR)/stages $(CURDIR)/schemas .typing/corpusmill/
	$(BIN)/mypy -p corpusmill
	$(BIN)/mypy tests docs benchmarks sample_corpus

docs: $(VENV)/.installed
	$(BIN)/python docs/build_reference.py
	$(BIN)/python sample_corpus/build.py --check

wheel: $(VENV)/.dev-installed
	rm -rf build dist
	$(BIN)/python -m build --wheel

clean:
	rm -rf $(VENV) .typing build dist out *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.test-installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@ $(VENV)/.installed

$(VENV)/.dev-installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@ $(VENV)/.test-installed $(VENV)/.installed
