"""docs/importing.md has what the importer does with each of Optax's."""

from __future__ import annotations

from tests.importers.table import in_docs, table


def test_the_table_in_the_docs():
    assert in_docs() == table()
