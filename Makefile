# Run `make` for help. Everything here works on a fresh checkout; the virtual environment is made when first needed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first of these that runs: a name on the path may be an empty shell (pyenv).
PYTHON ?= $(shell for p in python3.12 python3.13 python3.14 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready-$(notdir $(PYTHON))
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
# Whether PYTHON is that of VENV, as with `. .venv/bin/activate`: wiping it would wipe what was asked for.
OWN = $(PYTHON) -c 'import os, sys, pip; sys.exit(not os.path.samefile(sys.prefix, "$(VENV)"))' 2>/dev/null
# `compat` is a plain line in a .pth file; the default is an import hook, which every start would pay for.
# Two first runs at once would spoil each other's environment; the second waits.
LOCK := $(if $(shell command -v flock),flock Makefile)
CODE := common producer consumer local

.PHONY: help
help: ## This list
	@echo 'usage: make TARGET [PYTHON=python3.12]'
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

$(READY): requirements-dev.lock pyproject.toml
	@[ -n '$(PYTHON)' ] || { echo 'no Python 3.11 or newer here: install one, or name it: make PYTHON=...'; exit 1; }
	@$(LOCK) $(MAKE) --no-print-directory make-venv

.PHONY: make-venv
make-venv:
	@if [ $(READY) -nt requirements-dev.lock ] && [ $(READY) -nt pyproject.toml ]; then exit; fi; \
	set -e; \
	echo 'making $(VENV) with $(PYTHON) ...'; \
	[ -e $(READY) ] || $(OWN) || $(PYTHON) -m venv --clear $(VENV); \
	$(PIP) --require-hashes -r requirements-dev.lock; \
	$(PIP) --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .; \
	touch $(READY)

.PHONY: venv
venv: $(READY) ## The virtual environment, from the lock

.PHONY: run
run: $(READY) ## Broker, producer and consumer; COUNT=1000 ends by itself, RATE=10 a second, DOCKER=no INSTALL=yes
	@$(BIN)/python -m local $(if $(COUNT),--count $(COUNT)) $(if $(RATE),--rate $(RATE)) \
	  $(if $(DOCKER),--docker $(DOCKER)) $(if $(INSTALL),--install $(INSTALL))

# More than cores: most tests wait, for a broker or a cluster. WORKERS=0: one after the other, as --pdb needs it.
WORKERS ?= 6
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder \
  -o cache_dir=$(VENV)/.pytest_cache

.PHONY: new
new: ## A repository of your own that uses this one: NAME=shop DIR=../shop
	@[ -n '$(NAME)' ] && [ -n '$(DIR)' ] || { echo 'which? For example: make new NAME=shop DIR=../shop'; exit 2; }
	@$(PYTHON) -m deploy.new '$(NAME)' '$(DIR)'

.PHONY: test
test: $(READY) ## All tests that this machine can run; ARGS='tests/unit -x' for some
	@$(PYTEST) --durations 30 $(ARGS)

.PHONY: test-failed
test-failed: override WORKERS := 0
test-failed: $(READY) ## What failed in the last `make test`, once more, one after the other
	@$(PYTEST) --last-failed --last-failed-no-failures none -rp $(ARGS)

.PHONY: test-quick
test-quick: $(READY) ## Before a commit, within 90 seconds: what is quick, and the first of it on one real broker
	@$(PYTEST) --quick -m 'not slow' tests/unit tests/test_architecture.py tests/architecture tests/local \
	  tests/broker/test_consuming.py tests/broker/test_failing.py $(ARGS)

TIMES ?= 20
.PHONY: test-again
test-again: $(READY) ## TIMES=20 times ARGS='tests/broker/test_wire.py', until one fails
	@for time in $$(seq $(TIMES)); do \
	  $(PYTEST) -q $(ARGS) || { echo "failed in run $$time of $(TIMES)"; exit 1; }; \
	done; echo "passed $(TIMES) times"

# It keeps all that the lock says, but for pika.
.PHONY: test-pika-pre
test-pika-pre: VENV := .venv-pika-pre
test-pika-pre: ## The unit tests, and a user's own pika, on the newest pre-release of pika 1.5
	@$(MAKE) --no-print-directory venv VENV=$(VENV)
	@$(PIP) --upgrade --pre 'pika>=1.5.0rc1,<1.6'
	@$(BIN)/python -c 'import pika; print("pika", pika.__version__)'
	@$(PYTEST) $(addprefix tests/unit/,common consumer producer) tests/broker/test_users_pika.py $(ARGS)

# As named in the one place where it is. The name may have a digest, which a tag cannot have.
PYTHON_IMAGE ?= $(shell sed -n 's/^FROM \(.*\) AS python$$/\1/p' docker/Dockerfile)
TEST_IMAGE = mq-pair-test:$(subst @,-,$(subst /,-,$(subst :,-,$(PYTHON_IMAGE))))
# With IPv6 where this machine has it: Docker gives a container none by itself, and a test listens on ::1.
.PHONY: test-image
test-image: ## The unit tests on the Python of an image; PYTHON_IMAGE=python:3.14-slim, the images' own
	@docker build --quiet --build-arg PYTHON=$(PYTHON_IMAGE) --file docker/test.Dockerfile --tag $(TEST_IMAGE) .
	@docker run --rm --init $(if $(wildcard /proc/net/if_inet6),--sysctl net.ipv6.conf.all.disable_ipv6=0) \
	  $(TEST_IMAGE) -n $(WORKERS) --dist loadscope tests/unit tests/test_architecture.py $(ARGS)

.PHONY: check
check: $(READY) ## Format, lint, types, Dockerfiles, workflows
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy --strict $(CODE)
	@$(BIN)/hadolint $(wildcard docker/*Dockerfile) template/Dockerfile
	@$(BIN)/zizmor --offline --persona pedantic --quiet .github template/.github/workflows/test.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml template/.github/workflows/*.yml
	@$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml

.PHONY: chaos
chaos: $(READY) ## Every fault and a ten-minute mix, as a table (25 minutes)
	@$(BIN)/python -m tests.chaos $(ARGS)

.PHONY: chaos-peers
chaos-peers: $(READY) ## The same faults for other libraries, as docs/loss-table.md (a night); ARGS for some
	@$(BIN)/python -m tests.chaos.peers $(ARGS)

HOURS ?= 1
.PHONY: soak
soak: $(READY) ## Both services while a connection is lost twice a second, as docs/soak.md; HOURS=1
	@$(BIN)/python -m tests.chaos.soak --hours $(HOURS) $(ARGS)

.PHONY: mutants
mutants: $(READY) ## Small defects put into the core one at a time, which the unit tests must notice; ARGS for some
	@$(BIN)/python -m tests.mutants $(ARGS)

.PHONY: fuzz
fuzz: $(READY) ## What strangers write, drawn at random, for ten minutes: properties, HTTP requests, checkpoints
	@FUZZ_SECONDS=200 $(BIN)/python -m pytest tests/fuzz $(ARGS)

.PHONY: bench
bench: $(READY) ## Ours against the peers; ARGS for its options
	@$(BIN)/python -m benchmarks $(ARGS)

.PHONY: clean
clean: ## Remove what was made here: the virtual environment and caches
	@rm -rf $(VENV) .venv-pika-pre build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# images, secrets, deploy, k3d, kind, test-cluster
-include deploy/deploy.mk
