"""lit's configuration. Run `lit lit_tests` with the Python whose packages are to be tested.

It tests the checkout that this file is in. `OPTCC_LIT_INSTALLED=1` tests the optcc that Python finds without it: an
installed one, or one on `PYTHONPATH`.
"""
# ruff: noqa: F821 (lit defines `config` and `lit_config`)

import importlib.util
import os
import shlex
import sys
from pathlib import Path

import lit.formats

here = Path(__file__).resolve().parent
python = shlex.quote(sys.executable)

config.name = "optcc"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.excludes = ["Output", "Inputs"]
config.test_source_root = str(here)
config.test_exec_root = str(here / "Output")

config.environment["JAX_PLATFORMS"] = "cpu"
config.environment["PYTHONDONTWRITEBYTECODE"] = "1"
config.environment.pop("PYTHONPATH", None)
dialect = here.parent / "dialect"
if os.environ.get("OPTCC_LIT_INSTALLED") != "1":
    config.environment["PYTHONPATH"] = str(here.parent)
else:
    # Not imported: that would start JAX in lit itself.
    installed = importlib.util.find_spec("optcc")
    if installed is None or installed.origin is None:
        lit_config.fatal("OPTCC_LIT_INSTALLED=1, and Python finds no optcc")
    dialect = Path(installed.origin).parent / "dialect"
    if "PYTHONPATH" in os.environ:
        config.environment["PYTHONPATH"] = os.environ["PYTHONPATH"]

# Whole words only: the checkout's own path may hold them, too.
config.substitutions += [
    ("%dialect", shlex.quote(str(dialect))),
    (r"(?<![\w./-])optcc(?![\w./-])", f"{python} -m optcc"),
    (r"(?<![\w./-])filecheck(?![\w./-])", f"{python} -m filecheck --reject-empty-vars"),
]
