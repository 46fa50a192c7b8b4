# Every target makes what it needs by itself, in directories that `clean` removes. What runs is the
# package as a user has it: the wheel, installed. A worker that shares no directory with the client
# sees the environment and never the source beside it.

PYTHON ?= python3
# Each Python has an environment of its own.
VENV := .venv$(if $(filter-out python3,$(PYTHON)),-$(notdir $(PYTHON)))
# The programs are pinned to this one: some of their dependencies exist for no earlier one.
PYTHON311 ?= python3.11
# $(call python,3.13): PYTHON313 where it is set, else pyenv's, which need not be on the PATH.
python = $(or $(PYTHON$(subst .,,$(1))),$(lastword $(wildcard $(HOME)/.pyenv/versions/$(1).*/bin/python$(1))),python$(1))

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
.PHONY: help demo check test conformance apps tools paper property fuzz mutants leaks faults soak bench width launches rie wheel clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-12s %s\n", $$1, $$2 } /^##  / { print "     " substr($$0, 3) }' Makefile

demo: $(VENV)/.demo $(VENV)/.wheel  ## three unmodified programs under plain Python and on workers, compared
##             ON=local or ON=sandbox: only those workers
	@$(VENV)/bin/python examples/demo.py $(if $(ON),--on $(ON))

check: $(VENV)/.dev  ## ruff, mypy --strict
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --strict transparent_mp

# CPython's own tests are part of the tests where they can be had; 3.13 brings all of its own.
GATE := $(if $(and $(shell command -v $(PYTHON311)),$(shell command -v apt-get)),.conformance/3.11/.wheel) \
    $(if $(shell $(call python,3.13) -c "import test._test_multiprocessing as m; print(m)" 2>/dev/null),.conformance/3.13/.wheel)
test: $(VENV)/.dev $(VENV)/.demo $(VENV)/.wheel $(GATE)  ## the tests, against the installed wheel
##             PYTHON=python3.13: with this one, here as elsewhere; ARGS="-k pool -x": words for pytest
	@# Without the emulator its tests are skipped, and say why; in CI they fail.
	-@[ -e .rie/aws-lambda-rie ] || $(MAKE) --no-print-directory rie
	@$(VENV)/bin/pytest $(ARGS)

MODULE ?= $(addprefix test.test_,multiprocessing_spawn multiprocessing_fork multiprocessing_forkserver \
    multiprocessing_main_handling concurrent_futures)
JOBS ?= 2
TIMEOUT ?= 60
# Whose tests; each of 3.9 to 3.13 has a baseline.
VERSION ?= 3.11
CONFORMANCE := .conformance/$(VERSION)
conformance: $(CONFORMANCE)/.wheel  ## CPython's own tests on workers, scored against plain Python
##             VERSION=3.13: those of this Python; 3.9 to 3.13
##             MODULE="test.test_...", MATCH=REGEX, EXCLUDE=REGEX, IDS=FILE: only these
##             METHODS=1: each test alone, and (3.11) a pass that started nothing on a worker is named
##             SANDBOX=1: workers in the sandbox (root), SANDBOX=net: in networks of their own too
##             JOBS=2 TIMEOUT=60
	@$(if $(filter net,$(SANDBOX)),tests/sandbox/with-store) tests/conformance/run \
	    --python "$(CURDIR)/$(CONFORMANCE)/bin/python" \
	    --prefix-cmd '"$(CURDIR)/$(CONFORMANCE)/bin/python" -m transparent_mp' \
	    $(addprefix --module ,$(MODULE)) $(if $(MATCH),--match '$(value MATCH)') $(if $(EXCLUDE),--exclude '$(value EXCLUDE)') \
	    $(if $(IDS),--ids-file '$(IDS)') $(if $(METHODS),--methods --witness TRANSPARENT_MP_WITNESS) \
	    $(call sandboxed,$(CONFORMANCE)) --jobs $(JOBS) --timeout $(TIMEOUT) \
	    --logdir "$(CURDIR)/.conformance/logs" --tmpdir "$(CURDIR)/.conformance/tmp" \
	    --baseline tests/conformance/baseline-$(VERSION).json \
	    --out .conformance/results-$(VERSION).json || true; \
	tests/conformance/report .conformance/results-$(VERSION).json tests/conformance/baseline-$(VERSION).json \
	    --known tests/gate/known_differences.txt \
	    $(if $(filter net,$(SANDBOX)),--known tests/gate/known_differences_net.txt) \
	    $(if $(METHODS),$(addprefix --launches ,$(wildcard tests/conformance/launches-$(VERSION).json)))

apps: .apps/venv/.wheel  ## forty programs on libraries from PyPI, under plain Python and on workers
##             APPS="emcee_app tqdm_app": only these; SANDBOX=1: workers in the sandbox (root)
	@tests/apps/run --python "$(CURDIR)/.apps/venv/bin/python" --plain --witness \
	    --prefix '"$(CURDIR)/.apps/venv/bin/python" -m transparent_mp' $(call sandboxed,.apps/venv) $(APPS)

tools: .apps/venv/.wheel  ## black, isort, compileall, flake8, pylint, 2to3 over a tree: what they leave, byte for byte
##             ON="local sandbox": which workers (the last: root, and not without it)
	@.apps/venv/bin/python tests/apps/tools $(addprefix --on ,$(ON))

paper: .apps/venv/.wheel .paper/venv/.wheel  ## the programs of the paper, not one line edited, on workers
##             POET=DIR BASELINES=DIR: work trees of uber-research/poet, openai/baselines; else left out
##             ON="local sandbox lambda": which workers (the last two: root)
	@.apps/venv/bin/python tests/paper/run $(addprefix --on ,$(ON))
	@$(if $(POET)$(BASELINES),.paper/venv/bin/python tests/paper/run $(addprefix --on ,$(ON)) \
	    $(if $(POET),--poet "$(abspath $(POET))") $(if $(BASELINES),--baselines "$(abspath $(BASELINES))") \
	    $(if $(POET),poet) $(if $(BASELINES),baselines_envs),echo "POET and BASELINES are not given: left out")

RUNS ?= 3000
property: $(VENV)/.dev $(VENV)/.wheel  ## random programs over shared memory on workers, every read checked
##             RUNS=3000; ARGS="--seed 7 --runs 1": a seed that failed
	@$(VENV)/bin/python -m transparent_mp tests/property/run.py --runs $(RUNS) $(ARGS)

fuzz: $(VENV)/.dev $(VENV)/.wheel  ## every decoder of what comes from the store, given anything
##             RUNS=3000: inputs for each
	@TEST_HANGS=86400 FUZZ_RUNS=$(RUNS) $(VENV)/bin/pytest tests/fuzz $(ARGS)

mutants: $(VENV)/.dev $(VENV)/.wheel  ## memory that breaks one promise each: the random programs must notice
	@$(VENV)/bin/python tests/property/mutants.py $(ARGS)

leaks: $(VENV)/.dev $(VENV)/.wheel  ## long rounds of everything, and what is left after: memory, keys, fds
##             ARGS="--quick", ARGS="queue_messages sessions": shorter, only these
	@$(VENV)/bin/python -m tests.leaks $(ARGS)

faults: $(VENV)/.dev $(VENV)/.wheel  ## 500 seeded runs of short programs under faults, each judged
##             ARGS="--seed 17": one that failed, with what it prints; ARGS="--first 500 --runs 100"
	@cd tests && ../$(VENV)/bin/python -m faults $(ARGS)

MINUTES ?= 20
soak: $(VENV)/.dev $(VENV)/.wheel  ## messages for 20 minutes under faults, every one of them accounted for
##             MINUTES=20; Ctrl-C ends it early and judges what there was; ARGS="--seed 7"
	@cd tests && ../$(VENV)/bin/python -m faults.soak --minutes $(MINUTES) $(ARGS)

bench: $(VENV)/.dev $(VENV)/.wheel  ## speed, beside the standard library's in the same run
	@$(VENV)/bin/python -m tests.bench $(ARGS)

width: $(VENV)/.dev $(VENV)/.wheel  ## sessions of 125 to 1,000 processes, each on a worker of its own: what each costs
##             ARGS="1000", ARGS="1000 --workers 2": only so many; forked by two workers
	@$(VENV)/bin/python -m tests.width $(ARGS)

launches: $(VENV)/.dev $(VENV)/.wheel  ## how fast 200 Lambda workers are launched and come, through local fronts
##             the second half as root; 20 minutes on two CPUs. ARGS="--workers 20": only so many
	@$(VENV)/bin/python tests/on_lambda/launches.py $(ARGS)
	@$(VENV)/bin/python tests/on_lambda/arrivals.py $(ARGS)

rie: .rie/aws-lambda-rie  ## AWS' runtime interface emulator, on which some tests run

wheel: dist/.built  ## the wheel, in dist/

clean:  ## remove all that the other targets made
	rm -rf .venv .venv-* .conformance .apps .paper .rie dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find transparent_mp sitecustomize tests examples -name __pycache__ -prune -exec rm -rf {} +

# It comes in the wheel of AWS' own tool, which is not installed for it.
.rie/aws-lambda-rie: | $(VENV)/.made
	@mkdir -p .rie
	$(VENV)/bin/pip download -q --no-deps --no-cache-dir -d .rie aws-sam-cli
	$(VENV)/bin/python -m zipfile -e .rie/*.whl .rie
	mv .rie/samcli/local/rapid/aws-lambda-rie-$$(uname -m | sed s/aarch64/arm64/) $@
	rm -rf .rie/*.whl .rie/samcli .rie/aws_sam_cli*
	chmod +x $@

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	@# The pip that comes with Python 3.9 needs more than ten minutes to resolve what 3.9 can have.
	$(VENV)/bin/python -m pip install -q --upgrade pip
	$(VENV)/bin/pip install -q hatchling
	@touch $@

dist/.built: $(VENV)/.made $(SOURCES)
	@rm -rf dist
	$(VENV)/bin/hatchling build -t wheel
	@touch $@

# Dependencies change with pyproject.toml, the package itself with every source.
COMMA := ,
EMPTY :=
SPACE := $(EMPTY) $(EMPTY)
$(VENV)/.dev: EXTRAS := dev
$(VENV)/.demo: EXTRAS := demo $(EMBEDDED)
$(VENV)/.dev $(VENV)/.demo: pyproject.toml | dist/.built
	$(VENV)/bin/pip install -q "$$(ls dist/*.whl)[$(subst $(SPACE),$(COMMA),$(strip $(EXTRAS)))]"
	@touch $@

$(VENV)/.wheel: dist/.built
	$(VENV)/bin/pip install -q --force-reinstall --no-deps dist/*.whl
	@touch $@

.conformance/%/.made: tests/conformance/prepare
	@rm -rf .conformance/$*
	tests/conformance/prepare $(call python,$*) .conformance/$*
	@touch $@

.apps/venv/.made: tests/apps/requirements.txt
	$(PYTHON311) -m venv .apps/venv
	.apps/venv/bin/pip install -q -r tests/apps/requirements.txt
	@touch $@

# That gym asks for a cloudpickle of its time, which nothing here needs.
.paper/venv/.made: tests/paper/requirements.txt
	$(call python,3.9) -m venv .paper/venv
	.paper/venv/bin/python -m pip install -q --upgrade pip
	.paper/venv/bin/pip install -q -r tests/paper/requirements.txt
	.paper/venv/bin/pip install -q --no-deps --no-build-isolation gym==0.15.7
	@touch $@

$(addsuffix /.wheel,.apps/venv .paper/venv $(addprefix .conformance/,3.9 3.10 3.11 3.12 3.13)): %/.wheel: %/.made dist/.built
	$*/bin/pip install -q "$$(ls dist/*.whl)$(if $(EMBEDDED),[$(EMBEDDED)])"
	$*/bin/pip install -q --force-reinstall --no-deps dist/*.whl
	@touch $@
