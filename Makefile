# The commands of this project. `make demo` and `make test` each work on a fresh machine with
# Python 3.11 and the package index; everything that they make lies in .venv and var.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
PY := $(VENV)/bin/python
BUNDLE ?= var/bundle

# An environment is up to date when it holds the stamp of these very pins.
hash = $(shell cat $(1) | $(PYTHON) -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:12])')
RUN_PINS := pipeline/requirements.lock
RUN := $(VENV)/installed-run-$(call hash,$(RUN_PINS))
TEST := $(VENV)/installed-test-$(call hash,tests/requirements.lock $(RUN_PINS))

CONSOLE_PINS := worker/requirements-console.lock
CONSOLE_PACKAGES := $(VENV)/installed-console-$(call hash,$(CONSOLE_PINS))

# Compiling 30,000 files takes longer than unpacking them, and most are never imported.
PIP := $(PY) -m pip install --quiet --no-compile --disable-pip-version-check --require-hashes

export PYTHONUNBUFFERED := 1
# pip compiles nothing here, so each module is compiled by the first process that imports it. Where nothing
# may be kept of that, each of the hundreds of processes of the tests compiles 1,300 modules: two seconds of work.
unexport PYTHONDONTWRITEBYTECODE
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: help demo test chaos mutants lint weights lock docs setup services clean

help:  ## Say what there is
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(BUNDLE)/manifest.json $(if $(CONSOLE),$(CONSOLE_PACKAGES))  ## Verify a handful of members, end to end (CONSOLE=1: then review some)
	@$(PY) -m worker demo $(if $(CONSOLE),--console)

test: setup $(BUNDLE)/manifest.json  ## Check everything, against real MariaDB and Redis
	@$(MAKE) --no-print-directory lint
	@$(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST)

chaos: setup  ## Kill, stop and cut off everything while jobs flow, and show what came of them
	@PYTHONPATH=.:tests $(PY) -m chaos $(CHAOS)

# It has an environment of its own, for it is no part of what the tests need; it looks into theirs.
MUTMUT := var/mutmut/bin/mutmut

mutants: setup $(MUTMUT)  ## Change the code piece by piece, and name the changes that no test notices
	@$(MUTMUT) run $(MUTANTS)
	@$(MUTMUT) results

$(MUTMUT):
	@$(PYTHON) -m venv var/mutmut
	@var/mutmut/bin/python -m pip install --quiet --disable-pip-version-check mutmut==3.8.1
	@$(PY) -c 'import site; print(*site.getsitepackages())' \
		> "$$(var/mutmut/bin/python -c 'import site; print(*site.getsitepackages())')/project.pth"

lint: $(TEST)  ## Run ruff and mypy
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

# What each part is installed from: the pins with what they bring along, each by its hashes.
COMPILE = $(PY) -m uv pip compile --quiet --generate-hashes --no-annotate --python-version 3.11 \
	--custom-compile-command 'make lock'

lock: $(TEST)  ## Compile the lock files after a change of the pins
	@$(COMPILE) worker/requirements.txt -o worker/requirements.lock
	@$(COMPILE) worker/requirements.txt worker/requirements-flower.txt -o worker/requirements-flower.lock
	@$(COMPILE) worker/requirements.txt pipeline/requirements.txt -o pipeline/requirements.lock
	@$(COMPILE) requirements.txt -o tests/requirements.lock
	@$(COMPILE) worker/requirements.txt worker/requirements-console.txt -o worker/requirements-console.lock
	@$(COMPILE) worker/requirements.txt worker/requirements-tracing.txt -o worker/requirements-tracing.lock
	@$(COMPILE) worker/requirements.txt worker/requirements-sentry.txt -o worker/requirements-sentry.lock

docs: $(TEST)  ## Write .env.example, docs/settings.md and the dashboard of Grafana anew
	@PYTHONPATH=.:tests $(PY) -m support.settings_pages
	@PYTHONPATH=.:tests $(PY) -m support.dashboard

weights: $(BUNDLE)/manifest.json  ## Get the networks' weights and convert them into the bundle

setup: $(TEST) services  ## Install what the tests need

services:  # MariaDB, Redis and libGL, where they are missing and may be installed
	@bash tests/setup.sh

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 is needed; name it with: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN): $(RUN_PINS) | $(VENV)/bin/python
	@echo "Installing the packages into $(VENV): about two minutes and 3 GB, this once"
	@$(PIP) -r pipeline/requirements.lock
	@$(PY) -c 'import cv2' 2>/dev/null || { \
		echo "OpenCV cannot be loaded; it needs libGL.so.1: sudo apt-get install -y libgl1 libglib2.0-0"; exit 1; }
	@rm -f $(VENV)/installed-* && touch $@

$(TEST): $(RUN)
	@echo "Installing the packages of the tests"
	@$(PIP) -r tests/requirements.lock
	@$(PY) -m pip check
	@touch $@

$(CONSOLE_PACKAGES): $(CONSOLE_PINS) $(RUN)
	@echo "Installing the packages of the console"
	@$(PIP) -r $(CONSOLE_PINS)
	@touch $@

# What it is made from: the fitted heads, and the code that converts the networks. Networks that are
# up to date are not made again.
$(BUNDLE)/manifest.json: $(wildcard pipeline/heads/*.npz) pipeline/weights/convert.py | $(RUN)
	@echo "Getting the networks' weights and converting them: about a minute, this once"
	@$(PY) -m worker.fetch_weights
	@$(PY) -m pipeline weights --out $(BUNDLE)
	@touch $@

clean:  ## Remove everything that was made here
	rm -rf $(VENV) var mutants .mypy_cache .ruff_cache .pytest_cache .hypothesis
