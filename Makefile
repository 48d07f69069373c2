# Every target first makes .venv from the locked versions: a fresh clone needs only Python 3.11+, pip, git and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
EXTRAS := train,report,parquet,video,serve,tune,tune-db,tensorboard

.PHONY: setup demo notebook test test-slow check format docs bench lock release clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml hatch_build.py requirements/lock.txt requirements/test.in
	$(PYTHON) -c 'import sys; sys.exit("mien needs Python 3.11 or newer, this is " + sys.version.split()[0] + "; set PYTHON=python3.12") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/lock.txt -r requirements/test.in -e '.[$(EXTRAS)]'
	@touch $@
	@echo "installed; the command is $(BIN)/mien, or mien after: . $(BIN)/activate"

# Ray (240 MB on disk) is needed by nothing else.
$(VENV)/.ready-slow: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements/lock.txt -e '.[cluster]'
	touch $@

demo: setup
	$(BIN)/mien demo

# Opens the notebooks on this machine alone, also as root, the user of most containers. Their kernel is the .venv, so
# that they run with this clone.
notebook: setup
	$(BIN)/jupyter lab --ip 127.0.0.1 --allow-root notebooks

# Needs no network. The two workers share the tests evenly: one takes over tests from the other when it has none left.
test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' --durations 10

test-slow: $(VENV)/.ready-slow
	$(BIN)/python -m pytest -m slow

check: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# The site, into build/site; a broken link is an error. A page also changes with the code, so nothing cached is used.
docs: setup
	$(BIN)/zensical build --clean --strict

bench: setup
	$(BIN)/python benchmarks/near_duplicates.py
	$(BIN)/python benchmarks/interval_coverage.py
	$(BIN)/python benchmarks/check_speed.py
	$(BIN)/python benchmarks/training_speed.py

# All files of a release, into dist/; uploads nothing. TAG=v0.2.0 also checks the tag and that all is committed.
release: setup docs
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/release.txt
	$(BIN)/python tools/release.py --tools .venv-release/bin/python $(if $(TAG),--tag $(TAG))
	rm -rf .venv-release

# Resolve the newest allowed versions and pin them.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -r requirements/test.in -e '.[$(EXTRAS),cluster]'
	.venv-lock/bin/python -m pip freeze --exclude-editable > requirements/lock.txt
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -r requirements/release.in
	.venv-lock/bin/python -m pip freeze > requirements/release.txt
	rm -rf .venv-lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .cache build dist
