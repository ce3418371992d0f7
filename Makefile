# What a newcomer and CI run. Needs Python >= 3.11 and, for the native module, a C++20 compiler.
#
#   make train     the main job: two processes train a network on handwritten digits
#   make test      all tests            make check   format, lint, types, import layers
#   make install   the development environment in .venv, for the editor
#
# DTORCH_NO_NATIVE=1 builds without the native module. PYTHON=python3.12 picks the interpreter,
# VENV=dir the place of the environment.

PYTHON ?= python3
VENV ?= .venv
COMPILER := $(shell { command -v "$${CXX:-c++}" || command -v g++ || command -v clang++; } 2>/dev/null)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Stamps name what stands in the environment; each is newer than what it was made from.
STAMPS := $(VENV)/stamps
NATIVE_SOURCES := $(shell find dtorch/native -type f)
# A new package needs a new import map of the editable install; a new module does not.
PACKAGES := $(shell find dtorch launch -name __init__.py 2>/dev/null)

# With a compiler at hand a native module that does not build is an error, not a reason to go
# without. (An install by pip alone falls back to pure Python in both cases.)
ifndef DTORCH_NO_NATIVE
ifneq ($(COMPILER),)
export DTORCH_REQUIRE_NATIVE ?= 1
endif
endif

.PHONY: train test test-torch check install wheel stubs native-sanitize bench clean
.DELETE_ON_ERROR:

train: $(STAMPS)/dtorch $(STAMPS)/examples
	$(BIN)/dtorch-launch --nproc-per-node 2 examples/digits.py

# What meets kernels. It also runs with those of processors that have fewer instructions than this.
KERNEL_TESTS := tests/core/test_every_kernel.py tests/nn/test_layer_outputs.py tests/nn/test_rnn.py \
    $(addprefix tests/native/test_,$(addsuffix .py,activation attention convolution copies \
    cross_entropy division fused gelu half_loops half matmul normalization optimizer pooling \
    recurrent slices softmax sums))

# What beside core, nn and optim has a compiled form: atomics, messages with shared blocks, and who
# stands on them.
PROCESS_TESTS := $(patsubst %,tests/multiprocessing/test_%.py,arena delivery messages queues \
    reception reductions) $(patsubst %,tests/data_loading/test_%.py,channel collate dataset seeding) \
    tests/distributed/hogwild tests/distributed/test_collectives.py

test: $(STAMPS)/dtorch $(STAMPS)/test
	@set -e; for capability in $$($(BIN)/python -c "from dtorch.core import backend; \
	    print(*backend.native.cpu_capabilities()[:-1] if backend.native else ())"); do \
	  echo "== tests of kernels with those for $$capability"; \
	  DTORCH_CPU_CAPABILITY=$$capability $(BIN)/pytest --quiet --no-header -r fE \
	      --numprocesses 2 $(KERNEL_TESTS); \
	done
	@echo "== part of the suite without the native module (DTORCH_NATIVE=0)"
	DTORCH_NATIVE=0 $(BIN)/pytest --quiet --no-header -r fE --numprocesses 2 \
	    tests/core $(wildcard tests/nn tests/optim) $(PROCESS_TESTS)
	@echo "== the whole suite"
	$(BIN)/pytest --numprocesses 2 --dist loadfile $(PYTEST_ARGS)

# Optional: PyTorch, an interpreter with it in TORCH_PYTHON, has to read our files and we its own, and
# operations drawn at random have to give what it gives.
test-torch: $(STAMPS)/dtorch $(STAMPS)/test
	@test -x "$(TORCH_PYTHON)" || { echo "TORCH_PYTHON names no interpreter with PyTorch"; exit 1; }
	DTORCH_TEST_TORCH_PYTHON=$(TORCH_PYTHON) $(BIN)/pytest tests/serialization tests/differential tests/examples/test_against_pytorch.py $(PYTEST_ARGS)

check: $(STAMPS)/dtorch $(STAMPS)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/clang-format --dry-run --Werror $(shell find dtorch/native tests/native -name '*.cpp' -o -name '*.h')

install: $(STAMPS)/dtorch $(STAMPS)/examples $(STAMPS)/dev

stubs: $(STAMPS)/dtorch $(STAMPS)/dev
	$(BIN)/python -m dtorch.core.stubs

wheel: $(STAMPS)/build-tools
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

bench: $(STAMPS)/dtorch
	@set -e; for script in $(wildcard bench/*.py); do echo "== $$script"; $(BIN)/python $$script; done

# Address and undefined-behaviour sanitizers. -S keeps out the editable install's import hook, which
# would load the ordinary module. The interpreter itself leaks on purpose: no leak detection. Left out
# are the tests that run nothing of the module, but compilers and emulators.
SANITIZED := build/sanitized
native-sanitize: $(STAMPS)/build-tools $(STAMPS)/test
	rm -rf $(SANITIZED)
	DTORCH_REQUIRE_NATIVE=1 $(PIP) install --no-deps --no-build-isolation --target $(SANITIZED) \
	    -C cmake.define.DTORCH_SANITIZE=ON -C build-dir=build/sanitize-objects -C install.strip=false .
	site=$$($(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))"); \
	PYTHONPATH=$(SANITIZED):$$site PYTHONMALLOC=malloc ASAN_OPTIONS=detect_leaks=0 \
	LD_PRELOAD="$$($(COMPILER) -print-file-name=libasan.so) $$($(COMPILER) -print-file-name=libstdc++.so)" \
	$(BIN)/python -S -P -m pytest -p no:cacheprovider --quiet --no-header tests/native \
	    $(patsubst %,--ignore=tests/native/test_%.py,capability kernels races)

clean:
	rm -rf build dist $(VENV)

# ------------------------------------------------------------------------- the environment

$(STAMPS)/venv:
	$(PYTHON) -c "import sys; v = sys.version_info; v >= (3, 11) or sys.exit( \
	    f'dtorch needs Python 3.11 or newer, $(PYTHON) is {v[0]}.{v[1]}; try make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(STAMPS) && touch $@

# Installed, not taken from an isolated environment of each build, so that builds are incremental.
$(STAMPS)/build-tools: $(STAMPS)/venv
	$(PIP) install "scikit-build-core>=0.10" "nanobind>=2.5" "numpy>=2.3" cmake ninja
	@touch $@

$(STAMPS)/dtorch: $(STAMPS)/build-tools pyproject.toml $(NATIVE_SOURCES) $(PACKAGES)
	@echo "== building dtorch (about a minute the first time)"
	$(PIP) install --no-build-isolation --editable .
	@$(BIN)/python -c "from dtorch.core import backend; print('== native module:', \
	    'built' if backend.native else 'NOT built (no C++20 compiler?): NumPy does the work')"
	@touch $@

# dtorch itself stands already, so pip adds only what the extra asks for.
$(STAMPS)/examples $(STAMPS)/test $(STAMPS)/dev: $(STAMPS)/%: pyproject.toml | $(STAMPS)/dtorch
	$(PIP) install "dtorch[$*]"
	@touch $@
