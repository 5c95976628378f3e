# SPDX-License-Identifier: MIT
# Every target is one line that calls the command line or pytest. `boardwright --help` has the rest.

BOARD ?= rpi
RUN := .venv/bin/boardwright

.DEFAULT_GOAL := help
WORKERS ?= --numprocesses auto
QUICK := not machine and not engine and not boot and not ci and not node

.PHONY: help build build-all verify boot plan boards shell doctor test test-boards check bench bench-start bench-loop bench-rootfs schema clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/ready: pyproject.toml builder/setup.sh
	@sh builder/setup.sh

.venv/ready-test: .venv/ready
	@sh builder/setup.sh test

build: .venv/ready ## Build images: make build BOARD="rpi rpi5" [VERSION=1.0] [USER_DATA=my-user-data]
	@$(RUN) build $(BOARD)

build-all: .venv/ready ## Build the images of all boards
	@$(RUN) build --all

verify: .venv/ready ## Run the specs on the newest image of a board: make verify BOARD=rpi
	@$(RUN) verify $(BOARD)

boot: .venv/ready ## Boot the newest image of a board in QEMU, on this terminal: make boot BOARD=rpi
	@$(RUN) boot $(BOARD)

plan: .venv/ready ## Show every decision of a build: make plan BOARD=rpi
	@$(RUN) plan $(BOARD)

boards: .venv/ready ## List the boards
	@$(RUN) boards

shell: .venv/ready ## Open a shell in the last build's system: make shell BOARD=rpi
	@$(RUN) shell $(BOARD)

doctor: .venv/ready ## Say what is wrong with this machine
	@$(RUN) doctor

test: .venv/ready-test ## Run the tests; those that need what this machine lacks say so
	@.venv/bin/pytest $(WORKERS) -m "not boards"

test-boards: .venv/ready-test ## Build a board of each kind, and start the Arm and RISC-V ones; BOARDWRIGHT_WHOLE=1: all boards
	@.venv/bin/pytest $(WORKERS) -m boards

check: .venv/ready-test ## Run the tests that need no root, no Docker and no network
	@.venv/bin/pytest $(WORKERS) -m "$(QUICK)"

bench: .venv/ready-test ## Time builds, as docs/benchmarks.md has them; needs Docker and half an hour
	@.venv/bin/python -m benchmarks.build

bench-start: .venv/ready ## Time the start of commands, as docs/benchmarks.md has it
	@.venv/bin/python -m benchmarks.start

bench-loop: .venv/ready ## Time what a user waits for, as docs/benchmarks.md has it; needs Docker and ten minutes
	@.venv/bin/python -m benchmarks.loop

bench-rootfs: .venv/ready ## Show where the time of a rootfs goes; needs root and a Docker Engine here
	@.venv/bin/python -m benchmarks.rootfs

schema: .venv/ready ## Write boards/schema.json again after a change of the recipe's types
	@$(RUN) schema > boards/schema.json

clean: ## Remove the virtual environment
	@rm -rf .venv
