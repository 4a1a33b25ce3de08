# The interface to the project; `make` alone lists it.
#
# All Python lives in .venv, to which a target adds just the groups of pyproject.toml that it needs, in the versions of
# constraints.txt. A stamp is written when its group is installed, so an interrupted installation is taken up again.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

# Bytecode is left to the first import: of most modules nobody imports anything.
PIP := $(PY) -m pip install --disable-pip-version-check --no-input --no-compile --constraint constraints.txt

# What a group is, and how much its installation downloads.
base := gateware, golden model, simulator and reports (120 MB)
lint := ruff and mypy (30 MB)
synth := synthesis, and place and route (50 MB)
boards := place and route, and bitstreams, for iCE40 and Gowin (110 MB)
test := pytest, hypothesis and cocotb (10 MB)
host := pyserial (0.1 MB)
firmware := PicoRV32 (0.3 MB)
cluster := the Dask scheduler, workers and client (5 MB)
train := torch (200 MB; some 3 GB if pip picks the build with CUDA)

# Two targets must not install into .venv at once, and each is parallel inside; nor is the `make` of a simulation ours.
.NOTPARALLEL:
unexport MAKEFLAGS MFLAGS

.PHONY: help setup setup-host setup-cluster sim board-sim firmware plan verify test test-slow experiment bench synth bitstream train lint typecheck format clean

help: ## list the targets
	@echo 'make TARGET [ARGS="..."], where ARGS goes to the program behind the target:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F '|' '{ printf "  %-13s  %s\n", $$1, $$2 }'

setup: $(STAMP)-base $(STAMP)-lint $(STAMP)-test $(STAMP)-synth $(STAMP)-boards $(STAMP)-host $(STAMP)-firmware $(STAMP)-cluster $(STAMP)-train ## install everything (or each target installs its own)

setup-host: $(STAMP)-host ## install what talks to a board

setup-cluster: $(STAMP)-cluster ## install what a worker of a Dask cluster needs

sim: $(STAMP)-base ## simulate, and compare with the golden model (WAVES=1: waves)
	@$(PY) -m hillock.gen sim $(if $(filter-out 0,$(WAVES)),--waves) $(ARGS)

board-sim: $(STAMP)-base ## a virtual board: its UART as a TCP port or a pseudo-terminal
	@$(PY) -m hillock.gen board-sim $(ARGS)

firmware: $(STAMP)-firmware $(if $(findstring --synth,$(ARGS)),$(STAMP)-synth) ## the C driver on a processor beside the core
	@$(PY) -m hillock.gen firmware $(ARGS)

plan: $(STAMP)-base ## choose cores and lanes for a board
	@$(PY) -m hillock.gen plan $(ARGS)

verify: $(STAMP)-base $(if $(findstring --scheduler,$(ARGS)),$(STAMP)-cluster) ## compare a whole test set: MODEL=mnist, resumes
	@$(PY) -m hillock.gen verify $(MODEL) $(ARGS)

test: lint typecheck $(STAMP)-test $(STAMP)-synth $(STAMP)-boards $(STAMP)-host $(STAMP)-firmware $(STAMP)-cluster ## lint, typecheck, and all but the slow tests
	@$(PY) -m pytest $(ARGS)

test-slow: $(STAMP)-test $(STAMP)-synth $(STAMP)-boards $(STAMP)-host $(STAMP)-firmware $(STAMP)-train ## the slow tests
	@$(PY) -m pytest -m slow $(ARGS)

experiment: $(STAMP)-base ## measure preloads and delays: ARGS="net1-c latency"
	@$(PY) -m hillock.gen experiment $(ARGS)

bench: $(STAMP)-base ## measure cycles, synaptic operations and lane utilization
	@$(PY) -m hillock.gen bench $(ARGS)

synth: $(STAMP)-synth ## synthesize, place and route; report area and clock
	@$(PY) -m hillock.gen synth $(ARGS)

bitstream: $(STAMP)-synth $(if $(filter-out ulx3s%,$(BOARD)),$(STAMP)-boards) ## build for a board: BOARD=tang-nano-9k MODEL=digits
	@$(PY) -m hillock.gen build $(if $(BOARD),--board $(BOARD)) $(if $(MODEL),--model $(MODEL)) $(ARGS)

train: $(STAMP)-train ## train a network
	@$(PY) -m hillock.gen train $(ARGS)

lint: $(STAMP)-lint ## check the rules and the format of the Python code
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check

typecheck: $(STAMP)-lint $(STAMP)-test $(STAMP)-synth $(STAMP)-train ## check the types
	@mkdir -p build/typing/hillock
	@for package in hw gen host sim; do ln -sfn ../../../$$package build/typing/hillock/$$package; done
	@$(PY) -m mypy

format: $(STAMP)-lint ## format the Python code, and mend what is safe to mend
	@$(PY) -m ruff check --fix-only
	@$(PY) -m ruff format

clean: ## remove all that was built (but not .venv)
	rm -rf build hillock.egg-info .hypothesis
	find hw gen host sim tests -name __pycache__ -prune -exec rm -rf {} +

$(STAMP)-venv:
	@sh setup/check-prerequisites.sh "$(PYTHON)"
	@echo "hillock: making $(VENV)"
	@"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

$(STAMP)-base: $(STAMP)-venv pyproject.toml constraints.txt
	@echo "hillock: installing the base: $(base)"
	@$(PIP) setuptools
	@$(PIP) --no-build-isolation --editable .
	@touch $@

$(STAMP)-%: $(STAMP)-base
	@echo "hillock: installing '$*': $($*)"
	@$(PIP) --no-build-isolation --editable '.[$*]'
	@touch $@
