# `make demo`, `make test`, `make bench` and `make check` each set up what they need and then do their job.
.DEFAULT_GOAL := help
SHELL := bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help site screenshots book demo test fuzz check-studies check-javascript check-sql check-spark check-pages check-models check-cards bench bench-cards check format codegen accuracy bytes calibrations measured compared check-compared clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group test --group check --editable '.[trace,arrays,fast,sweep,dask,plot,calibrate,plan,site,book]'
	touch $@

demo: $(STAMP)  ## Compile the formulas from the torch modules and show what a page costs
	$(BIN)/modelmeter compile --out build/codegen
	$(BIN)/python examples/demo.py build/codegen

test: $(STAMP)  ## Run the tests
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder tests

FUZZ_SEED ?= 0
FUZZ_CASES ?= 10000

fuzz: $(STAMP)  ## Try 10,000 bad inputs on every command; takes a quarter of an hour
	$(BIN)/python -m tests.fuzz --seed $(FUZZ_SEED) --cases $(FUZZ_CASES)

POINTS ?= 1000000

check-studies: $(STAMP)  ## Check all statements of all studies by brute force; takes some minutes
	$(BIN)/python -m tests.check_studies --points $(POINTS)

check-javascript: $(STAMP)  ## Compare the JavaScript with the Python package at a million points; takes ten minutes, with Node
	$(BIN)/python -m tests.benchmarks.compare_languages --calls $(POINTS)

ROWS ?= 100000

check-sql: $(STAMP)  ## Compare the SQL in DuckDB with the Python package at 100,000 rows
	$(BIN)/python -m tests.check_sql --rows $(ROWS)

SPARK_ROWS ?= 150

check-spark: $(STAMP)  ## Compare the SQL in Spark with the Python package; takes half an hour, with Java and pip install pyspark
	$(BIN)/python -m tests.check_spark --rows $(SPARK_ROWS)

PAGES ?= 100000

check-pages: $(STAMP)  ## Compare the cells of 100,000 pages with the image processors of transformers
	$(BIN)/python -m tests.check_pages --sizes $(PAGES)

check-models: $(STAMP)  ## Try every causal decoder of transformers at few layers; takes hours
	$(BIN)/python -m tests.check_models

CARD_POINTS ?= 20

check-cards: $(STAMP)  ## Compile every card at its published sizes, and count it at 20 points; takes an hour
	$(BIN)/python -m tests.check_cards --points $(CARD_POINTS)

bench: $(STAMP)  ## Run the benchmarks
	$(BIN)/python -m tests.benchmarks

check: $(STAMP)  ## Check format, lint, types, and that codegen/ is current
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/modelmeter compile --check

bench-cards: $(STAMP)  ## Compile every card by the command, and write what that takes; takes minutes
	$(BIN)/python -m tests.benchmarks.compile_cards

format: $(STAMP)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

codegen: $(STAMP)  ## Regenerate codegen/
	$(BIN)/modelmeter compile --out codegen

accuracy: $(STAMP)  ## Regenerate the page about other counters of FLOPs; takes minutes and 5 GB
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group others
	$(BIN)/python -m modelmeter.models.deepseek_ocr.proofs.other_counters --out codegen/formulas/accuracy.md

bytes: $(STAMP)  ## Regenerate the page about the bytes of another implementation
	$(BIN)/python -m modelmeter.models.deepseek_ocr.proofs.foreign_bytes --out codegen/formulas/bytes.md

calibrations: $(STAMP)  ## Fit the shipped calibrations on the public measurements, and write their page
	$(BIN)/python -m llm_perf_opt.runners.write_calibrations --out src/llm_perf_opt/planning/calibrations
	$(BIN)/python -m llm_perf_opt.runners.write_measured_page --out codegen/formulas/measured.md

measured: $(STAMP)  ## Regenerate the page of predicted and measured times
	$(BIN)/python -m llm_perf_opt.runners.write_measured_page --out codegen/formulas/measured.md

compared: $(STAMP)  ## Regenerate the page that compares the document models; their cards take minutes to compile
	$(BIN)/python -m llm_perf_opt.runners.write_compared_page --out codegen/formulas

check-compared: $(STAMP)  ## Check that this page is current
	$(BIN)/python -m llm_perf_opt.runners.write_compared_page --out codegen/formulas --check

site: $(STAMP)  ## Build the site of formulas and studies in build/site; the studies take minutes
	$(BIN)/modelmeter study --out build/studies
	$(BIN)/modelmeter publish --studies build/studies --out build/site

screenshots: $(STAMP)  ## Take the pictures of the site that the README shows; with Chromium
	$(BIN)/python -m tests.screenshots --out docs

book: $(STAMP)  ## Set formulas, studies and evidence as a book, build/book.pdf, by TeX or else Typst; the studies take minutes
	$(BIN)/modelmeter study --out build/studies
	$(BIN)/modelmeter publish --studies build/studies --book build/book.pdf

clean:  ## Remove the environment and everything built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
