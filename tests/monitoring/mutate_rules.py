"""``python -m tests.monitoring.mutate_rules``: the tests of the rules notice each change of a rule.

Each alert and recorded series is deleted once, each comparison and each ``and`` or ``unless`` is turned round, each
``for`` is made very long, and each metric that a rule reads is dropped. A test of promtool or a state must fail, or the
mutant survives. Only the rules that have to do with the mutant are evaluated, and a test counts only if it holds for
them as they are. The results are kept in build/mutants.json; only mutants that a change of rules or tests touches are
tried again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tests.monitoring import states as package
from tests.support.prometheus import binary
from tests.support.rule_cases import Case, cases_of, in_order
from tests.support.rule_mutants import Mutant, Rule, downstream, file_of, metrics_behind, mutants, read_rules, upstream
from tests.support.state_stories import RULES, story_file
from tests.support.states import states

KEPT = Path(__file__).parents[2] / "build" / "mutants.json"
LANES = 2
LARGE = 5000
"""How large (`Case.size`) a test is that takes long: more than a second for each mutant."""
LIMIT = 600.0
"""Seconds that a test may take."""

EQUIVALENT: Mapping[str, str] = {}
"""Mutants that no test can notice, by title, and why."""


@dataclass
class Trial:
    """All rules and some cases; ``known``: whether promtool found nothing wrong, by what it was given.

    A case that takes long and in which none of a rule's alerts fires is for a trial of its own, a ``slow`` one.
    """

    rules: Sequence[Rule]
    cases: Sequence[Case]
    known: dict[str, bool]
    slow: bool = False
    concerned: dict[int, tuple[set[int], list[Case]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.concerned.update((rule.number, self._concerned(rule)) for rule in self.rules)

    def keep(self) -> None:
        """Write down what is known."""
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_text(json.dumps(self.known, indent=1))

    def noticed_by(self, mutant: Mutant) -> str:
        """The name of the first case that fails; empty if none does.

        A case that does not hold with the rules that are concerned alone is tried with all of them.
        """
        numbers, cases = self.concerned[mutant.rule.number]
        changed = file_of(self.rules, numbers, mutant)
        as_it_is = file_of(self.rules, numbers)
        for case in cases:
            if not self._holds(changed, case) and self._holds(as_it_is, case):
                return case.name
        alerts = {self.rules[number].name for number in downstream(mutant.rule, self.rules)}
        whole = {case.name: case for case in self.cases}
        unfit = [whole[case.name] for case in cases if case.fires & alerts and not self._holds(as_it_is, case)]
        changed = file_of(self.rules, set(range(len(self.rules))), mutant)
        return next((case.name for case in unfit if not self._holds(changed, case)), "")

    def _holds(self, rules: Mapping[str, Any], case: Case) -> bool:
        case = case.read_by(rules)
        key = _digest([rules, case.interval, case.test])
        if key not in self.known:
            self.known[key] = _holds(rules, case)
        return self.known[key]

    def _concerned(self, rule: Rule) -> tuple[set[int], list[Case]]:
        """The rules that have to do with one, and what the cases expect of those that depend on it."""
        after = downstream(rule, self.rules)
        numbers = upstream(after, self.rules)
        alerts = {each.name for each in self.rules if each.number in after and each.is_alert}
        recorded = {each.name for each in self.rules if each.number in numbers and not each.is_alert}
        # Without any of its metrics a rule yields nothing, however it is changed.
        behind = metrics_behind(rule, self.rules)
        always = not behind or "absent" in str(rule.body["expr"])
        able = [case for case in self.cases if always or case.has_any(behind)]
        now = [case for case in able if (case.size >= LARGE and not case.fires & alerts) is self.slow]
        found = [about for case in now if (about := case.about(alerts, recorded)) is not None]
        return numbers, in_order(found, alerts)


def _digest(facts: object) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:20]


def _holds(rules: Mapping[str, Any], case: Case) -> bool:
    """Whether promtool finds nothing wrong; raises AssertionError if it cannot read the rules."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "rules.json").write_text(json.dumps(rules))
        story = {"rule_files": ["rules.json"], "evaluation_interval": case.interval, "tests": [case.test]}
        (folder / "story.json").write_text(json.dumps(story))
        command = [binary("promtool"), "test", "rules", str(folder / "story.json")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    if "parse error" in done.stderr or "could not parse" in done.stderr:
        raise AssertionError(done.stderr)
    return done.returncode == 0


def rules_and_tests() -> Trial:
    """The rules and promtool's tests of this checkout, with what is known of earlier."""
    rules = read_rules([yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yml"))])
    files = sorted((RULES / "tests").glob("*.yml"))
    cases = [case for path in files for case in cases_of(path.stem, yaml.safe_load(path.read_text()))]
    return Trial(rules, cases, json.loads(KEPT.read_text()) if KEPT.exists() else {})


def trials(found: Trial) -> Iterator[Trial]:
    """The same with what takes long last: most tests, the states, whose stories have to be made, and the slow tests."""
    yield found
    seen = [state for state in states(package) if state.alerts]
    cases = [case for state in seen for case in cases_of(state.key, json.loads(story_file(state)))]
    yield replace(found, cases=cases, concerned={})
    yield replace(found, slow=True, concerned={})


def tried(found: Trial, chosen: Sequence[Mutant], lanes: int = LANES) -> Iterator[tuple[Mutant, str]]:
    """Each mutant with the case that noticed it, as they are found out; empty for the survivors, which come last."""
    left = list(chosen)
    for trial in trials(found) if left else ():
        tried_now, left = left, []
        with ThreadPoolExecutor(lanes) as pool:
            for mutant, by in zip(tried_now, pool.map(trial.noticed_by, tried_now), strict=True):
                if by:
                    yield mutant, by
                else:
                    left.append(mutant)
    yield from ((mutant, "") for mutant in left)


def survivors(results: Sequence[tuple[Mutant, str]], equivalent: Mapping[str, str] = EQUIVALENT) -> list[str]:
    """The titles of the mutants that no test noticed and that are not known to be equivalent."""
    return [mutant.title for mutant, by in results if not by and mutant.title not in equivalent]


def wrongly_listed(results: Sequence[tuple[Mutant, str]], equivalent: Mapping[str, str] = EQUIVALENT) -> list[str]:
    """The titles of the mutants that are said to be equivalent and that a test noticed."""
    return [mutant.title for mutant, by in results if by and mutant.title in equivalent]


def all_mutants(found: Trial) -> list[Mutant]:
    """The mutants of all rules."""
    return [mutant for rule in found.rules for mutant in mutants(rule)]


def sample(every: Sequence[Mutant], seed: int, count: int | None) -> Sequence[Mutant]:
    """So many mutants, by a seed; all for None."""
    return every if count is None else random.Random(seed).sample(every, min(count, len(every)))


def main(arguments: Sequence[str]) -> int:
    """Try them; 1 if any survives, or is said to be equivalent and is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.monitoring.mutate_rules", description=__doc__)
    parser.add_argument("--count", type=int, help="only so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=LANES, help="so many at the same time")
    parser.add_argument("--only", default="", help="only mutants with these words in their title")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    found = rules_and_tests()
    chosen = [each for each in sample(all_mutants(found), options.seed, options.count) if options.only in each.title]
    results = []
    for mutant, by in tried(found, chosen):
        results.append((mutant, by))
        sys.stdout.write(f"{mutant.title}: {by or 'SURVIVED'}\n")
        sys.stdout.flush()
        found.keep()
    left = survivors(results)
    wrong = wrongly_listed(results)
    noticed = sum(bool(by) for _, by in results)
    equivalent = len(results) - noticed - len(left)
    sys.stdout.write(f"{len(results)} mutants: {noticed} noticed, {equivalent} equivalent, {len(left)} survived\n")
    sys.stdout.write("".join(f"  {title}\n" for title in left))
    sys.stdout.write("".join(f"  {title}: noticed, so not equivalent\n" for title in wrong))
    return int(bool(left or wrong))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
