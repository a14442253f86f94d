"""The tests of the rules notice a sample of mutants; `make proof` tries all (`tests.monitoring.mutate_rules`)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.monitoring.mutate_rules import (
    EQUIVALENT,
    all_mutants,
    rules_and_tests,
    sample,
    survivors,
    tried,
    wrongly_listed,
)
from tests.support.rule_mutants import Mutant

pytestmark = pytest.mark.prometheus

COUNT = 1
"""A mutant takes a minute."""


def test_an_alert_of_the_sample_is_missed_when_it_is_deleted(request: pytest.FixtureRequest) -> None:
    found = rules_and_tests()
    deleted = [each for each in all_mutants(found) if each.rule.is_alert and each.body is None]
    chosen = sample(deleted, request.config.getoption("--sample-seed") or 1, COUNT)
    assert survivors(list(tried(found, chosen))) == []


def test_a_rule_that_no_test_asks_for_survives() -> None:
    found = rules_and_tests()
    rule = replace(found.rules[0], number=len(found.rules), body={**found.rules[0].body, "alert": "ZsrUntested"})
    found = replace(found, rules=[*found.rules, rule], known={})
    assert found.noticed_by(Mutant(rule, "deleted", None)) == ""


def test_a_rule_that_reads_no_metric_is_missed_when_it_is_deleted() -> None:
    found = rules_and_tests()
    watchdog = [each for each in all_mutants(found) if each.title == "ZsrWatchdog: deleted"]
    assert [found.noticed_by(each).partition(":")[0] for each in watchdog] == ["blind_test"]


def test_the_mutants_that_are_equivalent_exist() -> None:
    titles = {mutant.title for mutant in all_mutants(rules_and_tests())}
    assert len(titles) > len(EQUIVALENT)
    assert set(EQUIVALENT) - titles == set()


def test_a_mutant_that_is_listed_as_equivalent_is_no_survivor_but_must_not_be_noticed() -> None:
    first, second = all_mutants(rules_and_tests())[:2]
    listed = {first.title: "the rule is read by nobody"}
    assert survivors([(first, ""), (second, "")], listed) == [second.title]
    assert wrongly_listed([(first, ""), (second, "a story")], listed) == []
    assert wrongly_listed([(first, "a story")], listed) == [first.title]
