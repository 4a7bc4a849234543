"""Random foreign programs: the same numbers, and more than half are imported whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.fuzz.imports import check


@pytest.mark.parametrize(
    "seeds", [range(5, 9), pytest.param(range(9, 40), marks=pytest.mark.exhaustive)], ids=["few", "many"]
)
def test_random_programs_compute_what_the_original_does(seeds: Sequence[int]):
    whole = [seed for seed in seeds if check(seed)]
    assert len(whole) > len(seeds) / 2
