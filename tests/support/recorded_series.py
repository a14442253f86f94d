"""Series as scrapes gave them, written for promtool. Equal values in a row are one entry, so that days fit in."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.prometheus import binary
from tests.support.state_stories import RULES

WATCHDOG = 'severity!="none",alertname!~".*Watchdog"'
"""The one alert that is to fire while all is well does not count."""


@dataclass(slots=True)
class _Span:
    begin: int
    end: int
    value: str


@dataclass
class RecordedSeries:
    """The values of each series by the number of the scrape."""

    series: dict[str, list[_Span]] = field(default_factory=dict)
    scrapes: int = 0

    def add(self, values: Mapping[str, str]) -> None:
        """Add what one round of scrapes of all targets gave."""
        at = self.scrapes
        for name, value in values.items():
            spans = self.series.setdefault(name, [])
            if spans and spans[-1].end == at and spans[-1].value == value:
                spans[-1].end = at + 1
            else:
                spans.append(_Span(at, at + 1, value))
        self.scrapes += 1

    def notation(self, spans: Sequence[_Span]) -> str:
        """The values of a series in promtool's notation; where it ends it is marked stale, as Prometheus does."""
        found: list[str] = []
        end = 0
        for span in spans:
            if (gap := span.begin - end) > 0:
                found += ["stale"] if end else []
                gap -= bool(end)
                found += [f"_x{gap}"] if gap else []
            found.append(f"{span.value}+0x{span.end - span.begin - 1}" if span.end - span.begin > 1 else span.value)
            end = span.end
        return " ".join([*found, "stale"] if end < self.scrapes else found)

    def story(self, interval: int, rules: Path = RULES) -> str:
        """The file for promtool that asks which alerts fired at any moment; ``interval``: seconds between scrapes."""
        asked = f'ALERTS{{alertstate="firing",{WATCHDOG}}}[{self.scrapes * interval}s]'
        question = {"expr": f"count_over_time({asked})", "eval_time": f"{(self.scrapes - 1) * interval}s"}
        test = {
            "interval": f"{interval}s",
            "input_series": [{"series": name, "values": self.notation(known)} for name, known in self.series.items()],
            "promql_expr_test": [{**question, "exp_samples": []}],
        }
        files = [str(path) for path in sorted(rules.glob("*.yml"))]
        return json.dumps({"rule_files": files, "evaluation_interval": "30s", "tests": [test]})

    def alerts(self, folder: Path, interval: int, limit: float) -> set[str]:
        """The alerts that fired at any moment, with their labels, by the real rule engine of promtool.

        ``folder`` is for a file; ``limit``: seconds that it may take. Raises AssertionError if promtool rejects it.
        """
        story = folder / "story.json"
        story.write_text(self.story(interval))
        command = [binary("promtool"), "test", "rules", str(story)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit)
        found = set(re.findall(r"\{[^{}]*alertname=[^{}]*\}", done.stdout + done.stderr))
        if (done.returncode != 0) != bool(found):
            raise AssertionError(done.stdout + done.stderr)
        return found
