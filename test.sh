#!/usr/bin/env bash
# Sets up a virtual environment and passes all checks: lint, types, the documentation site, the tests on the
# checkout, the tests on the wheel.
# Usage: ./test.sh [PYTHON]     (default python3; the environment is .venv, made anew if PYTHON differs)
set -euo pipefail
cd "$(dirname "$0")"
python=${1:-python3}
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test,docs]'
cmake -S . -B build >/dev/null
cmake --build build --target lint
cmake --build build --target types
cmake --build build --target docs

# The wheel, outside the checkout and without the editable install, which would come first: what users get must pass,
# too. A folder on PYTHONPATH lends its packages but not its .pth files, so the new environment takes the old one's.
wheel=$(mktemp -d)
trap 'rm -rf "$wheel"' EXIT
.venv/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$wheel" .
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --target "$wheel/site" "$wheel"/optcc-*.whl
.venv/bin/python -m venv --without-pip "$wheel/env"
packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
cp -r tests lit_tests pyproject.toml "$wheel"
(
  cd "$wheel"
  export PYTHONPATH="$wheel/site:$packages" OPTCC_INSTALLED="$wheel/site" OPTCC_LIT_INSTALLED=1 JAX_PLATFORMS=cpu
  env/bin/python -m pytest -p no:cacheprovider tests/test_tiny.py tests/api/test_errors.py tests/native/test_runtime*.py
  # The commands, and the file that lies beside the dialect; the others read nothing that the wheel might lack.
  env/bin/python -c "from lit.main import main; main()" -s --no-progress-bar -j2 lit_tests/cli \
    lit_tests/dialect/spec_examples.mlir
)

# Not through cmake, so that pytest's summary is the last line.
JAX_PLATFORMS=cpu .venv/bin/python -m pytest -n 2
