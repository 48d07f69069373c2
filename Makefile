# Every target first makes .venv from the locked versions: a fresh clone needs only Python 3.11+, pip, git and make.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
comma  := ,
# All but Ray's, and but `page`: mien-web is built here (make release) and lies on no index before its release.
EXTRAS := train,report,parquet,video,serve,tune,tune-db,tensorboard

# What tells whether another version of a library still works: core, server, training, tuning and reports.
SMOKE := tests/test_golden.py tests/test_shipped.py tests/io/images tests/io/video tests/io/test_formats.py \
	tests/inference/test_reader.py tests/inference/test_sources.py tests/faces/test_detector.py \
	tests/server/test_app.py tests/server/test_metrics.py tests/server/test_runner.py tests/server/test_security.py \
	tests/server/test_stream.py tests/server/test_uploads.py tests/training/test_train.py tests/training/loop/test_fit.py \
	tests/training/loop/test_muon.py tests/training/loop/test_tensorboard.py tests/training/export \
	tests/training/search/test_tune.py tests/report/test_report.py tests/viz/test_charts.py

.PHONY: setup demo notebook web test test-slow test-lowest test-newest check format docs bench rivals lock release clean

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

# The JavaScript library, into web/dist, and a page that needs no server, into web/site. Needs node, npm and, once, the npm registry.
WEB_READY := web/node_modules/.package-lock.json

web: setup $(WEB_READY)
	cd web && npm run build

$(WEB_READY): web/package.json web/package-lock.json web/.npmrc
	cd web && npm ci --loglevel=error
	@touch $@

# Needs no network, except once for the packages of web/, whose tests are skipped without them. The two workers share the tests evenly: one takes over tests from the other when it has none left.
# Commands that tests start read compiled code, also where nobody else may write it. Plugins that no test needs would
# have their hundreds of modules rewritten in each worker.
test: setup
	@$(MAKE) --no-print-directory $(WEB_READY) || echo "the packages of web/ cannot be installed: its tests are skipped"
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --disable-plugin-autoload -p xdist -p hypothesispytest \
		-n 2 --dist worksteal -m 'not slow' --durations 10

test-slow: $(VENV)/.ready-slow
	$(BIN)/python -m pytest -m slow

# The lowest versions allowed, then the newest, each in an environment of its own. Warnings of old versions are no errors.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet -r requirements/lowest.txt -r requirements/smoke.in -e .
	.venv-lowest/bin/python -m pytest -W default -m 'not slow' $(SMOKE)
	rm -rf .venv-lowest

test-newest:
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet -r requirements/smoke.in -e '.[$(EXTRAS),cluster]'
	.venv-newest/bin/python -m pytest -m 'not slow' $(SMOKE)
	rm -rf .venv-newest

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

# Every benchmark that the docs quote, which takes hours, then the quotes themselves. DATA=FOLDER also measures what needs
# data (benchmarks/README.md). BENCHES="latency read_speed" runs some of the others.
BENCHES ?= latency crop_overhead read_speed check_speed training_speed cost_growth install_size near_duplicates \
	interval_coverage
RECORD  := MIEN_RECORD=1 $(BIN)/python

bench: setup
	@for name in $(BENCHES); do echo "== $$name"; $(RECORD) benchmarks/$$name.py || exit 1; done
ifdef DATA
	mkdir -p build
	MIEN_DATA='$(abspath $(DATA))' $(RECORD) benchmarks/shipped_model.py --json build/metrics.json \
		--model mien --model mien-int8 --model mien-light
endif
	$(BIN)/python benchmarks/measured.py
	$(BIN)/python recipes/write_card.py $(if $(DATA),build/metrics.json)

# Other libraries on the same images, in environments of their own (6 GB); writes docs/rivals.md. Needs node and npm.
rivals: setup
	$(if $(DATA),,$(error name the images: make rivals DATA=folder))
	$(BIN)/python benchmarks/compare_rivals.py --data $(DATA) $(ARGS)

# All files of a release, into dist/; uploads nothing. TAG=v0.2.0 also checks the tag and that all is committed.
release: setup docs web
	$(PYTHON) -m venv .venv-release
	.venv-release/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/release.txt
	$(BIN)/python tools/release.py --tools .venv-release/bin/python $(if $(TAG),--tag $(TAG))
	rm -rf .venv-release

# Resolve the newest allowed versions and the lowest ones, and pin them.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -r requirements/test.in -e '.[$(EXTRAS),cluster]'
	.venv-lock/bin/python -m pip freeze --exclude-editable > requirements/lock.txt
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -r requirements/release.in
	.venv-lock/bin/python -m pip freeze > requirements/release.txt
	.venv-lock/bin/python -m pip install --quiet uv
	echo '# The lowest versions that pyproject.toml allows: `make lock` writes this file, `make test-lowest` installs it.' > requirements/lowest.txt
	.venv-lock/bin/uv pip compile --quiet --universal --resolution lowest-direct --python-version 3.11 \
		$(foreach extra,$(subst $(comma), ,$(EXTRAS)) cluster,--extra $(extra)) --no-annotate --no-header pyproject.toml >> requirements/lowest.txt
	rm -rf .venv-lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .cache build dist web/node_modules web/build web/dist web/site
