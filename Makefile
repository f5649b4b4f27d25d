# make demo | test | test-all | test-matrix | docs | bench | bench-quick | lint | lines | facts | api | lock | dist | sbom
# make clean
# Needs a Python of 3.10 or later; everything else goes into .venv.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.10 python3; do \
	$$p -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 && echo $$p && break; done)
READY := .venv/.ready
RUN := .venv/bin
PEERS := keras jax tensorflow
keras := keras torch fastapi uvicorn
jax := keras "jax[cpu]"
tensorflow := keras tensorflow-cpu tf_keras

.PHONY: demo test test-all test-matrix docs bench bench-quick lint lines facts api lock dist sbom clean

demo: $(READY)
	@$(RUN)/lamina demo

test: lint
	$(RUN)/pytest -n 2 --dist worksteal -m "not slow and not gpu"

test-all: lint
	$(RUN)/pytest -n 2 --dist worksteal

# With every Python found here, the newest and the oldest libraries: make test-matrix TESTS=tests/test_files.py
test-matrix:
	@$(PYTHON) tools/matrix.py $(TESTS)

# The pages of docs/ with their pictures and the reference, as build/docs/index.html.
docs: $(READY)
	@$(RUN)/sphinx-build -q -W --keep-going -n -d build/doctrees docs build/docs
	@echo "build/docs/index.html"

# Against all peers, each in an environment of its own in .bench; takes an hour.
bench: $(READY) $(PEERS:%=.bench/%/.ready)
	@status=0; for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(RUN)/python $$script || status=1; done; \
	exit $$status

# Against PyTorch by hand alone.
bench-quick: $(READY)
	@$(RUN)/python benchmarks/peers.py --quick

lint: $(READY)
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/pyright
	$(RUN)/lint-imports

# Code lines of each folder against a commit: make lines COMMIT=HEAD~10
lines: $(READY)
	@$(RUN)/python tools/code_lines.py $(COMMIT)

# What docs/ says in numbers, counted anew.
facts: $(READY)
	@cd tests && ../$(RUN)/python -m support.facts

# The public API recorded anew; tests/test_public_api.py compares.
api: $(READY)
	@cd tests && ../$(RUN)/python -m support.api

# The tools pinned, with hashes: after a change of the requirements in pyproject.toml or requirements/*.in.
LOCK = .release/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes -c constraints.txt
lock: .release/.ready
	$(LOCK) --overrides requirements/no-torch.txt --extra dev pyproject.toml requirements/torch.in -o requirements/dev.txt
	$(LOCK) requirements/release.in -o requirements/release.txt

# What a release uploads: the same bytes each time.
dist: .release/.ready
	@rm -rf dist
	@.release/bin/python -m build --no-isolation --outdir dist .
	@.release/bin/python tools/pack_wheel.py dist/*.whl
	@.release/bin/twine check --strict dist/*

# What an installation of the wheel brings along, as CycloneDX.
sbom: dist
	@rm -rf .sbom && $(PYTHON) -m venv --without-pip .sbom && mkdir -p build
	@.release/bin/python -m pip --python .sbom/bin/python install --quiet -c constraints.txt dist/*.whl
	@version=$$(.release/bin/hatchling version) && \
		sed "s/^dynamic = .*/version = \"$$version\"/" pyproject.toml > build/pyproject.toml
	@.release/bin/cyclonedx-py environment --pyproject build/pyproject.toml --mc-type library --output-reproducible \
		--output-file build/sbom.cdx.json .sbom/bin/python
	@echo build/sbom.cdx.json

$(READY): pyproject.toml constraints.txt requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "Found no Python >= 3.10 with venv and ensurepip" \
		"(Debian, Ubuntu: apt install python3-venv). To name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Installing Lamina and its tools into .venv; the first time takes a few minutes."
	@$(PYTHON) -m venv .venv
	@$(RUN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@$(RUN)/python -m pip install --quiet -c constraints.txt torch
	@$(RUN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

.release/.ready: requirements/release.txt
	@$(PYTHON) -m venv .release
	@.release/bin/python -m pip install --quiet --require-hashes -r requirements/release.txt
	@touch $@

.bench/%/.ready: constraints.txt | $(READY)
	@echo "Installing $($*) into .bench/$*."
	@.venv/bin/python -m venv .bench/$*
	@.bench/$*/bin/python -m pip install --quiet -c constraints.txt $($*)
	@touch $@

clean:
	rm -rf .venv .bench .matrix .release .sbom build dist demo-output
	rm -rf .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
