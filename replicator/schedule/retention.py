"""Retention: which restore points the target keeps, by number or by a grid that thins them out with age. Pure.

A grid's buckets are cut at fixed moments (multiples of the interval since 1970, so days are days of UTC), and each
keeps its oldest point. A point therefore never changes its bucket while it ages, nor its place in it, and stays until
its whole span is over. If buckets moved with the newest point, two neighbours would fall into the same bucket again and
again, and the spacing would be lost run by run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from math import inf

from replicator.common.clocks import CLOCK_SLACK_SECONDS
from replicator.common.durations import compact, parse_duration

MAX_POINTS = 10_000
"""More restore points than this are a mistake: every run would read them all."""

SHORTEST_INTERVAL_SECONDS = 60
"""No schedule has a shorter interval (contract: Time)."""

ALLOWED = (
    f"how many restore points the target has, 1 to {MAX_POINTS}, or a grid 'SPAN:INTERVAL,...' like "
    "'6h:15m,7d:1h,30d:1d' (for 6 hours one each 15 min, then one an hour up to 7 days, then one a day up to 30 days)"
)

_NUMBER = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Up to the age ``span``, one point per ``interval``; both in whole seconds."""

    span: int
    interval: int

    def __str__(self) -> str:
        return f"{compact(self.span)}:{compact(self.interval)}"


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Keeps the newest ``count`` points; or, where there are rules, what these say. See `RetentionPolicy.parse`.

    What one of the ``former`` policies keeps stays as well. Of the time between two neighbouring points at most
    ``longest_gap`` seconds count, see `counting_at_most`.
    """

    count: int = 1
    rules: tuple[RetentionRule, ...] = ()
    former: tuple[RetentionPolicy, ...] = ()
    longest_gap: float = inf

    @classmethod
    def parse(cls, text: str) -> RetentionPolicy:
        """Read a number or a grid.

        Raises:
            ValueError: it is neither; the message names the error, if it is a single one, and the allowed values.
        """
        words = text.strip()
        if _NUMBER.fullmatch(words):
            if not 1 <= int(words) <= MAX_POINTS:
                raise ValueError(ALLOWED)
            return cls(count=int(words))
        keep = cls(rules=tuple(_rule(part) for part in words.split(",")))
        for finer, coarser in zip(keep.rules, keep.rules[1:], strict=False):
            if not finer.span < coarser.span:
                raise ValueError(f"spans must grow, and {coarser} stands after {finer}; {ALLOWED}")
            if coarser.interval < finer.interval:
                raise ValueError(f"intervals must not shrink, and {coarser} stands after {finer}; {ALLOWED}")
        if keep.most > MAX_POINTS:
            raise ValueError(f"this grid keeps up to {keep.most} points; {ALLOWED}")
        return keep

    def __str__(self) -> str:
        return ",".join(map(str, self.rules)) or str(self.count)

    @property
    def most(self) -> int:
        """The highest number of points that can be left when the stale ones are destroyed."""
        if not self.rules:
            return self.count
        starts = (0, *(rule.span for rule in self.rules))
        return 1 + sum(
            (rule.span - start) // rule.interval + 2 for start, rule in zip(starts, self.rules, strict=False)
        )

    def with_former(self, texts: Iterable[str]) -> RetentionPolicy:
        """Return the policy with those that it replaced lately; a text that is none any more keeps nothing."""
        former: list[RetentionPolicy] = []
        for text in texts:
            with suppress(ValueError):
                former.append(RetentionPolicy.parse(text))
        return replace(self, former=tuple(former))

    def counting_at_most(self, gap: float) -> RetentionPolicy:
        """Return the policy by which no clock that jumped ahead makes all points of a grid look old.

        Of the time between two neighbouring points at most ``gap`` seconds count, which the schedule explains, or two
        of the widest intervals, which thinning explains. A time in which the node was off makes nothing older either.
        """
        former = tuple(each.counting_at_most(gap) for each in self.former)
        widest = max((rule.interval for rule in self.rules), default=0)
        return replace(self, former=former, longest_gap=max(gap, 2.0 * widest))

    def stale(self, times: Sequence[int], now: float | None = None) -> set[int]:
        """Return the points to destroy.

        Ages are measured back from the newest point, which is never stale: without new points none is destroyed.

        Args:
            times: the unix times of the points, in any order.
            now: the unix time, if it is known. A wrong clock named a point more than a minute ahead of it, so it must
                not make all others look old; by number it is destroyed first, in a grid it counts as young.
        """
        if not times:
            return set()
        stale = self._stale(times, now)
        for policy in self.former:
            stale &= policy.stale(times, now)
        return stale

    def _stale(self, times: Sequence[int], now: float | None) -> set[int]:
        past = [time for time in times if now is None or time <= now + CLOCK_SLACK_SECONDS] or list(times)
        newest = max(past)
        if not self.rules:
            order = sorted(set(times), key=lambda time: (time <= newest, time))
            return set(order[: -self.count])
        ages = self._ages(times, newest)
        oldest: dict[tuple[RetentionRule, int], int] = {}
        for time in times:
            rule = next((rule for rule in self.rules if ages[time] <= rule.span), None)
            if rule is not None:
                bucket = (rule, time // rule.interval)
                oldest[bucket] = min(time, oldest.get(bucket, time))
        return set(times) - set(oldest.values()) - {newest}

    def _ages(self, times: Sequence[int], newest: int) -> dict[int, float]:
        """Return the age of each point, in seconds before the newest one; those of the future are young."""
        ages: dict[int, float] = {time: newest - time for time in times if time >= newest}
        for later, time in pairwise(sorted({newest, *(time for time in times if time < newest)}, reverse=True)):
            ages[time] = ages[later] + min(later - time, self.longest_gap)
        return ages


def _rule(text: str) -> RetentionRule:
    span, colon, interval = text.partition(":")
    try:
        seconds = [parse_duration(part) for part in (span, interval)] if colon else []
    except ValueError:
        seconds = []
    if not seconds or any(second != int(second) for second in seconds):
        raise ValueError(ALLOWED)
    rule = RetentionRule(*map(int, seconds))
    if rule.interval < SHORTEST_INTERVAL_SECONDS:
        raise ValueError(f"an interval is at least {SHORTEST_INTERVAL_SECONDS} s, not {text.strip()}; {ALLOWED}")
    if rule.span < rule.interval:
        raise ValueError(f"a span is at least as long as its interval, not {text.strip()}; {ALLOWED}")
    return rule
