"""The mutants with which the laws of the fuzz are tried: each can be made from the sources as they are."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.lab.fuzz.mutants import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what)
def test_a_mutant_is_a_change_that_compiles(mutant: Mutant) -> None:
    for file, text in mutant.applied().items():
        compile(text, file, "exec")


def test_every_law_has_mutants() -> None:
    laws = Counter(mutant.law for mutant in MUTANTS)
    assert all(count >= 3 for count in laws.values())
