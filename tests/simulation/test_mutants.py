"""The judge notices each rule of the protocol that is taken out."""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS


@pytest.mark.parametrize("name", MUTANTS)
def test_a_protocol_without_one_of_its_rules_is_noticed(name: str) -> None:
    mutant = MUTANTS[name]
    assert mutant.notice in mutant.perform(None, mutant.seed, mutant.steps), (
        "nobody noticed: is the seed stale? python -m tests.simulation.mutants"
    )
