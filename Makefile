# Two commands do everything on a fresh machine with Python, git and make:
#   make demo    set up, then distill the embedded digits and print the score table
#   make test    set up, then run every check and test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_RUN ?= runs/demo

# Compiled modules make every later start quick, whatever the caller's environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint docs audit lock clean

setup: $(STAMP)

# uv makes a second environment in seconds (it links files from its cache); it is fetched by pip
# into a small environment of its own when the machine has none.
$(STAMP): pyproject.toml requirements/dev.txt
	@UV="$$(command -v uv || true)"; \
	if [ -z "$$UV" ]; then \
	  $(PYTHON) -m venv .cache/uv && .cache/uv/bin/pip install --quiet uv && UV=.cache/uv/bin/uv; \
	fi; \
	"$$UV" venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	"$$UV" pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt && \
	"$$UV" pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

demo: setup
	$(BIN)/wmdd run $(DEMO_RUN) --data digits --image-size 16

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: setup
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

# Known vulnerabilities in what is locked. Without a network nobody can be asked; it says so, and that is no failure.
audit: setup
	@UV="$$(command -v uv || echo .cache/uv/bin/uv)"; $(BIN)/python .ci/audit.py "$$UV"

# As many testers as cores, of one thread each where a test asks for no more. Threads that have nothing to do must sleep:
# they would spin on the others' cores.
test: lint docs audit
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/pytest --cov -n auto --dist loadfile

lock:
	uv pip compile pyproject.toml --group dev --python-version 3.11 --universal \
	  --generate-hashes --no-emit-index-url --no-header --quiet -o requirements/dev.txt

clean:
	rm -rf $(VENV) .cache docs/_build
