"""The planted faults of `make mutants` still find their places."""

from __future__ import annotations

from collections import Counter

from crash.mutants import MUTANTS, ROOT


def test_every_planted_fault_finds_its_place_and_its_test() -> None:
    for mutant in MUTANTS:
        assert (ROOT / mutant.path).read_text().count(mutant.old) == 1, mutant.what
        if mutant.test != "lint-imports":
            file, _, test = next(iter(mutant.test.split())).partition("::")
            assert f"def {test}" in (ROOT / file).read_text(), mutant.what


def test_every_invariant_has_two() -> None:
    counts = Counter(mutant.invariant for mutant in MUTANTS)
    assert set(counts) == {f"I{number}" for number in range(1, 11)}
    assert min(counts.values()) >= 2
