"""Every code block of the README and of the pages runs, and prints what the page shows; every link leads somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from xdsl.parser import Parser

from optcc.dialect import context
from tests.cli.calls import optcc_
from tests.docs.blocks import Block, blocks_of

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "docs").exists(), reason="the pages are in the checkout only")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "CONTRIBUTING.md"]
LANGUAGES = {"", "python", "sh", "mlir", "toml", "text"}


def run_python(block: Block, names: dict[str, Any], page: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = compile("\n" * block.line + block.code, page, "exec")
    capsys.readouterr()
    if "raises" in block.words:
        assert block.shown is not None
        with pytest.raises(Exception) as raised:  # noqa: PT011 (the message is compared)
            exec(code, names)
        printed = f"{raised.type.__name__}: {raised.value}"
        assert printed.startswith(block.shown.rstrip()), printed
        return
    exec(code, names)
    printed = capsys.readouterr().out
    if block.shown is not None:
        assert printed.startswith(block.shown.rstrip()), printed


def run_shell(block: Block) -> None:
    for line in block.code.splitlines():
        if line.startswith("optcc "):
            result = optcc_(*shlex.split(line, comments=True)[1:])
            assert result.exit_code == 0, result.output


def run_page(page: Path, capsys: pytest.CaptureFixture[str], *, slow: bool) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(page.read_text()):
        assert block.language in LANGUAGES, f"{page}:{block.line}: {block.language}"
        if "slow" in block.words and not slow:
            return
        if block.language == "python":
            run_python(block, names, page.name, capsys)
        elif block.language == "sh":
            run_shell(block)
        elif block.language == "mlir":
            Parser(context(), block.code).parse_module().verify()


def has_code(page: Path) -> bool:
    return any(block.language in ("python", "sh", "mlir") for block in blocks_of(page.read_text()))


WITH_CODE = [page for page in PAGES if page.exists() and has_code(page)]


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.name)
def test_blocks(page: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    run_page(page, capsys, slow=False)


@pytest.mark.exhaustive
@pytest.mark.parametrize("page", [p for p in WITH_CODE if " slow\n" in p.read_text()], ids=lambda page: page.name)
def test_slow_blocks(page: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    run_page(page, capsys, slow=True)


def test_pages_are_read() -> None:
    """A fence with a misspelt language, or one that is never closed, would not run: every fence is part of a block."""
    for page in PAGES:
        text = page.read_text()
        fences = sum(line.lstrip().startswith("```") for line in text.splitlines())
        read = [block for block in blocks_of(text) if f"<!-- before:\n{block.code}" not in text]
        assert fences == 2 * len(read), page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    made = ("reference/", "performance.md")  # pages that the site's build makes
    kept = [link for link in links if "://" not in link and not link.startswith(made)]
    assert not [link for link in kept if not (page.parent / link).exists()]
