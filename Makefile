# Every target makes .venv and installs what it needs first, once.
PYTHON ?= python3.11
ifeq (, $(shell command -v $(PYTHON) 2>/dev/null))
PYTHON := python3
endif
VENV := .venv
BIN := $(VENV)/bin
DEMO_ARGS ?=
PYTEST_ARGS ?=
# Most tests wait for something, so there are more workers than the two cores of a small machine.
WORKERS ?= 4
CONTROL_PLANE ?= required

.PHONY: install demo test test-orders test-journeys test-sandbox test-faults bench pictures test-cluster controlplane check lock sbom clean

install: $(VENV)/.dev

# The demo needs less than a developer does, so it starts sooner on a bare machine.
$(VENV)/.sandbox: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sandbox]'
	touch $@

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ $(VENV)/.sandbox

demo: $(VENV)/.sandbox
	exec $(BIN)/gateway-bot demo $(DEMO_ARGS)

# The files come in the order of testpaths: those that take long begin first.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore tests/bot/sandbox $(PYTEST_ARGS)

# With random delays where threads and processes meet: a test must be right whichever of two things
# at once comes first. ORDERS are the files, SEED the delays.
ORDERS ?= tests/handlers tests/bot tests/deploy tests/journeys
SEED ?= 1
test-orders: $(VENV)/.dev
	DELAYS=$(SEED) PYTHONPATH=tests/delays $(BIN)/python -m pytest $(ORDERS) -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

# The whole bot in the sandbox, as people meet it in Slack.
test-journeys: $(VENV)/.dev
	$(BIN)/python -m pytest tests/journeys -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

# What the demo and the tests run against, and its page in a browser.
test-sandbox: $(VENV)/.dev
	$(BIN)/python -m pytest tests/browser tests/bot/sandbox -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

# Bots and Redis die in every way they can; a model checker tries every order of events. What runs a
# whole bot against the clock comes first, two at a time: a core for each. Outages mostly wait.
WHOLE_BOTS := thousand_warnings edge_matrix storm rolling upgrade ghosts attacks
test-faults: $(VENV)/.dev
	$(BIN)/python -m pytest $(WHOLE_BOTS:%=tests/faults/test_%.py) -n 2 --dist worksteal $(PYTEST_ARGS)
	$(BIN)/python -m pytest tests/faults/test_outages.py -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)
	$(BIN)/python -m pytest tests/faults tests/model $(patsubst %,--ignore=tests/faults/test_%.py,$(WHOLE_BOTS) outages) -n 3 --dist worksteal $(PYTEST_ARGS)

# Measures, beside a peer in the same run; BENCH="decisions" runs one alone. Nothing fails by its figures.
bench: $(VENV)/.dev $(VENV)/image/.installed
	@$(BIN)/python -m tests.bench $(BENCH)

# The packages of the image and no others, for bots that are measured.
$(VENV)/image/.installed: requirements.lock
	$(PYTHON) -m venv $(VENV)/image
	$(VENV)/image/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements.lock
	touch $@

# Takes each message's picture from the demo's page and writes docs/slack.md; PICTURES="plan done" takes some alone.
pictures: $(VENV)/.dev
	$(BIN)/python -m tests.pictures $(PICTURES)

# A control plane of a current Kubernetes, built once into ~/.cache/gateway-bot.
controlplane:
	@tests/cluster/controlplane/build.sh

# On the sandbox's cluster and on a real one. KUBECONFIG or KUBEBUILDER_ASSETS, where set, are used
# instead of the one that is built; CONTROL_PLANE=off leaves it out: docs/testing.md.
test-cluster: $(VENV)/.dev
	@[ $(CONTROL_PLANE) = off ] || [ -n "$$KUBECONFIG$$KUBEBUILDER_ASSETS" ] || tests/cluster/controlplane/build.sh >/dev/null
	$(BIN)/python -m pytest tests/cluster --control-plane=$(CONTROL_PLANE) -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tests.checks.prose
	$(BIN)/python -m tests.checks.wording

# The image installs exactly these versions, by hash, with whatever Python from 3.11 on. Needs uv, fetched for the run only.
lock: $(VENV)/.dev
	$(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.13,<0.14'
	$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --output-file requirements.lock pyproject.toml

# What the image holds, for those who look for known vulnerabilities: CycloneDX, from the lock. The tool stays out of the
# developers' packages: kubernetes imports what it brings wherever that is found, and each bot started a second later.
sbom: $(VENV)/.dev
	mkdir -p dist
	$(PYTHON) -m venv $(VENV)/sbom
	$(VENV)/sbom/bin/python -m pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7.5,<8'
	$(VENV)/sbom/bin/python -W ignore -m cyclonedx_py requirements requirements.lock --pyproject pyproject.toml --output-reproducible \
		--output-format JSON --output-file dist/sbom.json

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
