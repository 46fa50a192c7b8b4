# Every target makes what it needs by itself, in directories that `clean` removes. What runs is the
# package as a user has it: the wheel, installed. A worker that shares no directory with the client
# sees the environment and never the source beside it.

PYTHON ?= python3
# CPython's tests and the programs are pinned to this one: the baseline was measured with it, and
# some of the programs' dependencies exist for no earlier one.
PYTHON311 ?= python3.11

SOURCES := pyproject.toml README.md LICENSE $(shell find transparent_mp sitecustomize ! -name '*.pyc' ! -name __pycache__)
# A Redis server from a wheel where the machine has none.
EMBEDDED := $(if $(shell command -v redis-server),,embedded)
# $(call sandboxed,VENV): the setting that puts workers into the sandbox, with SANDBOX=1.
sandboxed = $(if $(SANDBOX),--env "TRANSPARENT_MP_WORKER_COMMAND=$(CURDIR)/tests/sandbox/sandbox $(if $(filter net,$(SANDBOX)),--net) --ro $(CURDIR)/$(1) --")

# The makefile's own tools are not to run on workers, whatever the shell that calls it is set to.
unexport TRANSPARENT_MP
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Several targets install into one environment.
.NOTPARALLEL:
.PHONY: help demo check test conformance apps property bench wheel clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 } /^##  / { print "     " substr($$0, 3) }' Makefile

demo: .venv/.demo .venv/.wheel  ## three unmodified programs under plain Python and on workers, compared
##             ON=local or ON=sandbox: only those workers
	@.venv/bin/python examples/demo.py $(if $(ON),--on $(ON))

check: .venv/.dev  ## ruff, mypy --strict
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy --strict transparent_mp

# CPython's own tests are part of the tests where they can be had.
GATE := $(if $(and $(shell command -v $(PYTHON311)),$(shell command -v apt-get)),.conformance/venv/.wheel)
test: .venv/.dev .venv/.demo .venv/.wheel $(GATE)  ## the tests, against the installed wheel
##             ARGS="-k pool -x": words for pytest
	@.venv/bin/pytest $(ARGS)

MODULE ?= $(addprefix test.test_,multiprocessing_spawn multiprocessing_fork multiprocessing_forkserver \
    multiprocessing_main_handling concurrent_futures)
JOBS ?= 2
TIMEOUT ?= 60
conformance: .conformance/venv/.wheel  ## CPython's own tests on workers, scored against plain Python
##             MODULE="test.test_...", MATCH=REGEX, EXCLUDE=REGEX, IDS=FILE: only these
##             METHODS=1: each test alone, and a pass that started nothing on a worker is named
##             SANDBOX=1: workers in the sandbox (root), SANDBOX=net: in networks of their own too
##             JOBS=2 TIMEOUT=60
	@version=$$(.conformance/venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	$(if $(filter net,$(SANDBOX)),tests/sandbox/with-store) tests/conformance/run --python "$(CURDIR)/.conformance/venv/bin/python" \
	    --prefix-cmd '"$(CURDIR)/.conformance/venv/bin/python" -m transparent_mp' \
	    $(addprefix --module ,$(MODULE)) $(if $(MATCH),--match '$(value MATCH)') $(if $(EXCLUDE),--exclude '$(value EXCLUDE)') \
	    $(if $(IDS),--ids-file '$(IDS)') $(if $(METHODS),--methods --witness TRANSPARENT_MP_WITNESS) \
	    $(call sandboxed,.conformance/venv) --jobs $(JOBS) --timeout $(TIMEOUT) \
	    --logdir "$(CURDIR)/.conformance/logs" --tmpdir "$(CURDIR)/.conformance/tmp" \
	    --baseline tests/conformance/$(if $(METHODS),launches,baseline)-$$version.json \
	    --out .conformance/results.json || true; \
	tests/conformance/report .conformance/results.json tests/conformance/baseline-$$version.json \
	    $(if $(SANDBOX),tests/gate/known_differences_sandbox.txt,tests/gate/known_differences.txt) \
	    $(if $(METHODS),tests/conformance/launches-$$version.json)

apps: .apps/venv/.wheel  ## twenty programs from PyPI, under plain Python and on workers
##             APPS="emcee_app tqdm_app": only these; SANDBOX=1: workers in the sandbox (root)
	@echo "plain Python:"
	@tests/apps/run --python "$(CURDIR)/.apps/venv/bin/python" $(APPS)
	@echo "on workers:"
	@tests/apps/run --python "$(CURDIR)/.apps/venv/bin/python" \
	    --prefix '"$(CURDIR)/.apps/venv/bin/python" -m transparent_mp' $(call sandboxed,.apps/venv) $(APPS)

RUNS ?= 3000
property: .venv/.dev .venv/.wheel  ## random programs over shared memory on workers, every read checked
##             RUNS=3000; ARGS="--seed 7 --runs 1": a seed that failed
	@.venv/bin/python -m transparent_mp tests/property/run.py --runs $(RUNS) $(ARGS)

bench: .venv/.dev .venv/.wheel  ## speed, beside the standard library's in the same run
	@.venv/bin/python -m tests.bench $(ARGS)

wheel: dist/.built  ## the wheel, in dist/

clean:  ## remove all that the other targets made
	rm -rf .venv .conformance .apps dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find transparent_mp sitecustomize tests examples -name __pycache__ -prune -exec rm -rf {} +

.venv/.made:
	$(PYTHON) -m venv .venv
	@# The pip that comes with Python 3.9 needs more than ten minutes to resolve what 3.9 can have.
	.venv/bin/python -m pip install -q --upgrade pip
	.venv/bin/pip install -q hatchling
	@touch $@

dist/.built: .venv/.made $(SOURCES)
	@rm -rf dist
	.venv/bin/hatchling build -t wheel
	@touch $@

# Dependencies change with pyproject.toml, the package itself with every source.
COMMA := ,
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)
.venv/.dev: EXTRAS := dev
.venv/.demo: EXTRAS := demo $(EMBEDDED)
.venv/.dev .venv/.demo: pyproject.toml | dist/.built
	.venv/bin/pip install -q "$$(ls dist/*.whl)[$(subst $(SPACE),$(COMMA),$(strip $(EXTRAS)))]"
	@touch $@

.venv/.wheel: dist/.built
	.venv/bin/pip install -q --force-reinstall --no-deps dist/*.whl
	@touch $@

.conformance/venv/.made: tests/conformance/prepare
	@rm -rf .conformance/venv
	tests/conformance/prepare $(PYTHON311) .conformance/venv
	@touch $@

.apps/venv/.made: tests/apps/requirements.txt
	$(PYTHON311) -m venv .apps/venv
	.apps/venv/bin/pip install -q -r tests/apps/requirements.txt
	@touch $@

.conformance/venv/.wheel .apps/venv/.wheel: %/.wheel: %/.made dist/.built
	$*/bin/pip install -q "$$(ls dist/*.whl)$(if $(EMBEDDED),[$(EMBEDDED)])"
	$*/bin/pip install -q --force-reinstall --no-deps dist/*.whl
	@touch $@
