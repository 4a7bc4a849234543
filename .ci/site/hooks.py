"""What mkdocs calls: generated pages, links out of docs/, and the navigation."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
from performance import RESULTS, performance_page
from reference import ROOT, reference_pages

DOCS = ROOT / "docs"
SECTIONS: dict[str, tuple[str, ...]] = {
    "Use": ("index.md", "training.md", "migration.md", "importing.md", "hyperparameters.md", "layouts.md", "devices.md",
            "tools.md", "errors.md"),
    "Read": ("reading-ir.md", "pipeline.md", "sweeps.md", "numerics.md", "differences.md", "native.md"),
    "Measured": ("performance.md", "benchmarks.md"),
    "Extend": ("extending.md", "architecture.md", "glossary.md", "status.md"),
    "Decisions": ("decisions/index.md", "decisions/0*"),
    "Reference": ("reference/dialect.md", "reference/passes.md"),
    "API": ("reference/api/*",),
}  # fmt: skip
"""The pages in their order; one that is not there is left out, and a test says which page stands nowhere."""


def on_config(config: Any) -> Any:
    """The navigation, from `SECTIONS` and the pages that there are."""
    pages = {str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md")} | set(generated())
    config["nav"] = [
        {name: [page for one in listed for page in matching(one, pages)]} for name, listed in SECTIONS.items()
    ]
    return config


def matching(pattern: str, pages: set[str]) -> list[str]:
    """The pages that an entry of `SECTIONS` names, in order."""
    return sorted(p for p in pages if Path(p).match(pattern)) if "*" in pattern else [pattern] * (pattern in pages)


def generated() -> dict[str, str]:
    """The pages that are made here, by their paths."""
    records = sorted((DOCS / "decisions").glob("*.md"))
    titles = [(record.name, record.read_text().splitlines()[0].lstrip("# ")) for record in records]
    index = "# Decisions\n\n" + "".join(f"- [{title}]({name})\n" for name, title in titles)
    return reference_pages() | {"performance.md": performance_page(), "decisions/index.md": index}


def on_files(files: Files, config: Any) -> Files:
    """Generated pages, and the measurements that pages link to."""
    for path, text in generated().items():
        files.append(File.generated(config, path, content=text))
    for path in sorted(RESULTS.glob("*.json")):
        files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links to files of the repository, which lie elsewhere in the site."""
    up = "../" * page.file.src_uri.count("/")
    markdown = markdown.replace("](../benchmarks/results/", f"]({up}results/")
    markdown = re.sub(r"\]\((?:\.\./)+dialect/SPEC\.md", f"]({up}reference/dialect.md", markdown)
    return markdown.replace("](decisions)", "](decisions/index.md)")
