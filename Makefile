# The tasks of a developer. Every target that runs something installs what it needs first.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3

# Applications use the card through pcscd, vpcd and OpenSC. The compiler and headers build our driver
# for pcscd, and pyscard, for which PyPI has no Linux wheels.
DEBIAN_PACKAGES := pcscd vsmartcard-vpcd opensc openssl ca-certificates \
	python3-venv python3-dev gcc libc6-dev libpcsclite-dev pkg-config

# The programs with which the tests try the card. The demo does not need them.
TEST_PACKAGES := nginx openssh-client openssh-server curl libengine-pkcs11-openssl libnss3-tools \
	chromium firefox-esr xvfb xdotool poppler-utils yubico-piv-tool postgresql softhsm2 \
	systemd python3-seccomp tshark duktape dbus python3-dbusmock \
	python3-gi python3-gi-cairo gir1.2-gtk-3.0 gir1.2-atspi-2.0 at-spi2-core python3-tk \
	libnghttp2-dev libssl-dev libxml2-utils xmlsec1 slapd nodejs

# What builds the package of Debian, and looks for mistakes in it.
PACKAGING_PACKAGES := build-essential debhelper dpkg-dev fakeroot git lintian python3-venv

# What development needs beyond Python's packages.
WORKSHOP_PACKAGES := cppcheck

# The extra of pyproject.toml that brings everything for running the product.
RUNNING := all

# The programs start hundreds of times in the tests, and would be compiled each time in an environment
# that forbids keeping what Python compiles.
export PYTHONDONTWRITEBYTECODE :=

# For make fuzz: the time for each target of Python's, and the targets.
FUZZ_SECONDS ?= 30
FUZZ_TARGETS ?= apdu tlv frames records ccid usbip chaining card
# And how many malformed records our driver for pcscd is told.
FUZZ_RECORDS ?= 1000000

# For make chaos: the time in all, or kills at chosen steps instead.
SECONDS ?= 60
STEPS ?= 0

# For make attack: how often an attacker who writes the database plays, with forty steps each time.
RUNS ?= 2500

# Of make mutants: one mutant in so many, by chance, and only of modules whose path begins so.
EVERY ?= 1
ONLY ?=

# A Debian 13 beside this system, for make trixie, and what is tried there: the demo, and the tests. It
# is kept outside of this folder, so that a fresh clone finds it again.
TRIXIE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cloudcard/trixie
TRIXIE_TESTS ?= tests
IN_TRIXIE := tools/setup/trixie.sh $(TRIXIE)
PYTEST := $(BIN)/pytest --numprocesses auto

# The kernel and initrd of make guests, and the packages of which they are made.
GUESTS ?= .cache/guests

# What make audit looks at.
LOCKS := requirements.lock requirements-dev.lock requirements-build.lock requirements-audit.lock

.DEFAULT_GOAL := help
.NOTPARALLEL:
DRIVER := $(MAKE) --silent --directory drivers/linux/ifd

.PHONY: help setup demo test trixie lint format bench fuzz chaos attack mutants guests traces openapi vendor docs pictures man proto package deb \
	deb-test trixie-deb-test vm sbom audit lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: debian driver $(VENV)/.installed ## Install what the product needs to run, from Debian and PyPI

.PHONY: driver
driver: debian ## Build our driver for pcscd; make -C drivers/linux/ifd install, as root, installs it
	@$(DRIVER)

.PHONY: debian
debian:
	@tools/setup/debian.sh $(DEBIAN_PACKAGES)

$(VENV)/.installed: requirements.lock requirements-build.lock pyproject.toml tools/setup/python.sh
	@tools/setup/python.sh $(VENV) $(PYTHON) requirements.lock
	@touch $@

# What development needs in addition: linters, the browser's driver, fuzzers.
.PHONY: workshop
workshop: debian $(VENV)/.workshop
	@tools/setup/debian.sh $(WORKSHOP_PACKAGES)

$(VENV)/.workshop: requirements-dev.lock requirements-build.lock pyproject.toml tools/setup/python.sh
	@tools/setup/python.sh $(VENV) $(PYTHON) requirements-dev.lock
	@touch $(VENV)/.installed $@

.PHONY: clients
clients:
	@tools/setup/debian.sh $(TEST_PACKAGES)

demo: setup ## Show everything at work, in one or two minutes; INTERACTIVE=1: you are the card's holder
	@$(BIN)/cloudcard demo $(if $(filter-out 0,$(INTERACTIVE)),--interactive)

test: lint driver clients ## Lint, then run every test, with real pcscd, vpcd and client programs; pictures of pages go to build/pages
	@rm -rf build/pages
	CLOUDCARD_SCREENSHOTS=$(CURDIR)/build/pages $(PYTEST)

trixie: ## The demo and tests on Debian 13, in a tree made with debootstrap; root only
	@$(IN_TRIXIE) make setup workshop clients
	@$(IN_TRIXIE) --offline make demo
	@$(IN_TRIXIE) --offline $(PYTEST) $(TRIXIE_TESTS)

lint: workshop ## Check style, types, schema, and whether the generated code matches the schema
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@$(DRIVER) lint
	@$(MAKE) --silent --directory tools/bench lint
	$(BIN)/buf lint proto
	@folder=$$(mktemp -d) && trap 'rm -r "$$folder"' EXIT && \
	tools/setup/generate.sh $(CURDIR)/$(BIN)/python "$$folder" && \
	{ diff --recursive --brief --exclude=__pycache__ "$$folder" proto/gen || \
	  { echo "proto/gen is not what proto/cloudcard says: run make proto" >&2; exit 1; }; }

format: workshop ## Format the code, and fix what can be fixed automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## Measure a command through pcscd, and in the card alone
	@$(BIN)/cloudcard bench card
	@$(BIN)/cloudcard bench apdu

fuzz: workshop ## Fuzz card, driver and keystore, FUZZ_SECONDS for each target; findings stay in .cache/fuzz
	@for target in $(FUZZ_TARGETS); do \
	  echo "fuzzing $$target for $(FUZZ_SECONDS) s"; \
	  $(BIN)/python tests/fuzz/run.py $$target $(FUZZ_SECONDS) .cache/fuzz || exit 1; \
	done
	@$(DRIVER) fuzz RECORDS=$(FUZZ_RECORDS)
	@echo "fuzzing the keystore's calls for $(FUZZ_SECONDS) s"; \
	$(BIN)/python tests/fuzz/rpc.py $(FUZZ_SECONDS)

chaos: workshop clients ## Kills, pauses, full disks, clock steps for SECONDS while people sign; or STEPS kills
	@PYTHONPATH=tests $(BIN)/python -m chaos --seconds $(SECONDS) --steps $(STEPS)

attack: workshop ## Let somebody who writes the database play RUNS games against one keystore, and against two replicas
	CLOUDCARD_ATTACKS=$(RUNS) $(BIN)/pytest tests/cloud_keystore/operations/test_attacker.py

mutants: workshop ## Take guards out and change the program in small ways: tests must notice (docs/mutation.md)
	PYTHONPATH=tests nice -n 19 $(BIN)/python -m mutation --moment sabotage
	PYTHONPATH=tests nice -n 19 $(BIN)/python -m mutation --every $(EVERY) $(ONLY)

guests: setup ## Boot guests with stock libccid in QEMU, which list, sign, wait, and see the card leave
	@tools/setup/debian.sh qemu-system-x86
	@$(BIN)/python tools/vm/initrd.py $(GUESTS)
	@for via in qemu usbip; do $(BIN)/python tools/vm/run.py $(GUESTS) $$via || exit 1; done

traces: workshop clients ## Record tests/traces again with the real programs; SESSIONS: only these
	@PYTHONPATH=tests $(BIN)/python -m recording $(SESSIONS)

VENDORED := nhsuk-frontend@10.6.1 jsqr@1.4.0

vendor: workshop ## Fetch from npm again what the web pages have of others
	@folder=$$(mktemp -d) && trap 'rm -r "$$folder"' EXIT && \
	npm pack --silent --pack-destination "$$folder" $(VENDORED) >/dev/null && \
	$(BIN)/python tools/setup/vendor.py "$$folder"

openapi: workshop ## Write docs/openapi.json, the description of the REST API
	@$(BIN)/python tools/docs/openapi.py

docs: workshop ## Build the site of the guides and of card_os's API in build/site
	$(BIN)/mkdocs build --strict --quiet

PICTURED = tests/cloud_keystore/web/test_page.py tests/cloud_keystore/web/test_pin_page.py tests/cloud_keystore/web/me/test_portal_pages.py

pictures: workshop ## Renew the pictures of the guides, which browser tests take
	@mkdir -p docs/pictures
	CLOUDCARD_PICTURES=$(CURDIR)/docs/pictures $(BIN)/pytest -q $(PICTURED)

proto: workshop ## Generate proto/gen from the schema
	@tools/setup/generate.sh $(CURDIR)/$(BIN)/python proto/.gen
	@rm -rf proto/gen && mv proto/.gen proto/gen

man: setup ## Write the manual pages of the command into build/man
	@$(BIN)/cloudcard manual build/man

package: workshop ## Build the wheel and the source archive in dist, with locked tools
	$(BIN)/python -m hatchling build

# For Debian's Python. Kept outside of this folder, where a fresh clone finds it again.
WHEELHOUSE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cloudcard/wheelhouse

deb: debian ## Build the workstation's package for this release of Debian in build/deb
	@tools/setup/debian.sh $(PACKAGING_PACKAGES)
	@tools/setup/wheelhouse.sh $(WHEELHOUSE)
	@tools/setup/deb.sh build/deb $(WHEELHOUSE)

deb-test: workshop deb ## Install, use, upgrade and purge that package in a root of its own; root only
	$(BIN)/pytest tests/deb

trixie-deb-test: ## The same on the Debian 13 of make trixie
	@$(IN_TRIXIE) make deb-test

# Kept outside of this folder, as the tree of make trixie.
MACHINES := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/cloudcard/vm

vm: deb ## Install, use, upgrade and purge the package in Debian 12 and 13 with systemd and polkit; root only
	@tools/setup/debian.sh cpio mmdebstrap qemu-system-x86
	@tools/vm/debian.sh bookworm $(MACHINES) build/deb/*+deb12_*.deb
	@$(IN_TRIXIE) make deb
	@tools/vm/debian.sh trixie $(MACHINES) $(TRIXIE)/root/root/cloudcard/build/deb/*+deb13_*.deb

sbom: setup ## Renew cloudcard.cdx.json and THIRD-PARTY.md, the list of what the product contains
	$(BIN)/python tools/setup/bill.py

audit: ## Ask whether weaknesses of the locked packages are known
	@folder=$$(mktemp -d) && trap 'rm -r "$$folder"' EXIT && \
	$(PYTHON) -m venv "$$folder" && \
	"$$folder/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
	  --require-hashes --requirement requirements-audit.lock && \
	"$$folder/bin/pip-audit" --disable-pip --require-hashes $(LOCKS:%=--requirement %)

# requirements.lock takes its versions from the other file, so that an environment can be extended
# from one to the other.
lock: ## Renew requirements*.lock from pyproject.toml; UPGRADE=1: with the newest versions
	@folder=$$(mktemp -d) && trap 'rm -r "$$folder"' EXIT && \
	$(PYTHON) -m venv "$$folder" && "$$folder/bin/pip" install --quiet uv && \
	compile() { \
	  UV_CUSTOM_COMPILE_COMMAND="make lock" "$$folder/bin/uv" pip compile --quiet \
	    --generate-hashes --no-emit-index-url --python-version 3.11 --universal "$$@"; \
	} && \
	compile pyproject.toml --extra dev $(if $(UPGRADE),--upgrade) --output-file requirements-dev.lock && \
	compile pyproject.toml --extra $(RUNNING) --constraint requirements-dev.lock --output-file requirements.lock && \
	for group in build audit; do \
	  compile --group $$group --constraint requirements-dev.lock \
	    --output-file requirements-$$group.lock || exit 1; \
	done

clean: ## Remove what was made here, but not the packages from Debian
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist
