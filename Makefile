# Two commands do everything: `make demo` and `make test`. Both make .venv with the locked dependencies first.
.PHONY: demo test lint lock clean

demo:
	@tools/prepare.sh demo
	@.venv/bin/braggwatch demo $(ARGS)

# A file's tests run in one process, one after another; most of those end to end wait for programs to start.
test:
	@tools/prepare.sh test
	.venv/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile $(ARGS)

lint:
	@tools/prepare.sh test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

# Writes both locks anew from pyproject.toml, for every platform and Python at once.
lock:
	@tools/prepare.sh test
	.venv/bin/python -m pip install --quiet uv
	.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --extra build \
		pyproject.toml -o requirements.lock
	.venv/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --extra build \
		--extra test --extra lint pyproject.toml -o requirements-dev.lock

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache
