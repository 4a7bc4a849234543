#!/usr/bin/env bash
# Sets up a virtual environment and passes all checks: lint, types, the tests on the checkout, the tests on the wheel.
# Usage: ./test.sh [PYTHON]     (default python3; the environment is .venv, made anew if PYTHON differs)
set -euo pipefail
cd "$(dirname "$0")"
python=${1:-python3}
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
cmake -S . -B build >/dev/null
cmake --build build --target lint
cmake --build build --target types

# The wheel, in an environment of its own, outside the checkout: what users get must pass too.
wheel=$(mktemp -d)
trap 'rm -rf "$wheel"' EXIT
.venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$wheel" .
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target "$wheel/site" "$wheel"/optcc-*.whl
cp -r tests pyproject.toml "$wheel"
(cd "$wheel" && PYTHONPATH="$wheel/site:$wheel" OPTCC_INSTALLED="$wheel/site" \
  "$OLDPWD/.venv/bin/python" -m pytest -p no:cacheprovider tests/test_tiny.py)

cmake --build build --target pytest
