"""From samples of a server to what is kept of them: seconds, statements, and what was not to be seen. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from wedsync_db.load.observed import CPU, LOCK, NOT_SHOWN, STEP_SECONDS, Pooled, Second, Statement, type_of
from wedsync_db.monitor.statements import OTHERS, Growth, shown

MOST_STATEMENTS = 10
TEXTS = 4  # of a group of sessions that are all alike: so many stand for all of them
_MOST_TEXTS = 1000
_MANY = 0.05
_REST = "others"
_BOARD = "wedsync_load."  # the schema by which shards meet: see sql/load_shards.sql
_NUMBER = re.compile(r"(?<![\w.$\"])\d[\d_]*(\.\d+)?(e[+-]?\d+)?\b", re.IGNORECASE)
_COMMENT = re.compile(r"/\*…\*/")
_ACTIVE = frozenset({"active", "fastpath function call"})
_LEAST_CHARACTERS = 12  # of a text that was cut off, to be told from what stands before each script


@dataclass(frozen=True, slots=True)
class Group:
    """Sessions that were alike at one moment."""

    wait: str
    sessions: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One look; `number` is that of its turn, of which ten are in a second."""

    number: int
    groups: tuple[Group, ...]


class Texts:
    """How often which statement was met. What stands in quotes, and every number, is gone before it is kept.

    `prelude` is what stands before each script, as it is sent: in a message of several statements the server shows all
    of them, and the first ones are always the same.
    """

    def __init__(self, prelude: str = "") -> None:
        self._prelude = plain(prelude)
        self._met: dict[str, float] = {}

    def meet(self, texts: Sequence[str], sessions: int) -> None:
        """These were at work, and stand for so many sessions."""
        for text in texts:
            key = self._short(plain(text))
            if key not in self._met and len(self._met) >= _MOST_TEXTS:
                key = _REST
            self._met[key] = self._met.get(key, 0.0) + sessions / len(texts)

    def top(self) -> tuple[Statement, ...]:
        """The most frequent ones."""
        total = math.fsum(self._met.values())
        ranked = sorted(self._met, key=lambda text: (-self._met[text], text))[:MOST_STATEMENTS]
        return tuple(Statement(text, self._met[text] / total) for text in ranked)

    def _short(self, text: str) -> str:
        rest = text.removeprefix(self._prelude).strip()
        return rest if len(rest) >= _LEAST_CHARACTERS else text


def plain(text: str) -> str:
    """A statement in one line without values: no text, no number, no comment."""
    return " ".join(_NUMBER.sub("?", _COMMENT.sub(" ", shown(text))).split())


def wait_of(state: str | None, kind: str | None, event: str | None) -> str:
    """What to call what a session does: `Lock:tuple`, `CPU`, `idle in transaction`."""
    if state is None or state == "disabled":
        return NOT_SHOWN
    if state not in _ACTIVE:
        return state
    return f"{kind}:{event}" if kind else CPU


def seconds_of(
    samples: Iterable[Sample], turns: int, begun: float, unanswered: Collection[int] = ()
) -> tuple[Second, ...]:
    """Samples by second.

    Args:
        samples: Those that were taken.
        turns: How many there were to be.
        begun: When the first of them was due, from the run's first arrival on.
        unanswered: The numbers of those that were due while the server had not yet answered an earlier one.
    """
    planned: dict[int, int] = {}
    for number in range(turns):
        second = _second(begun, number)
        planned[second] = planned.get(second, 0) + 1
    taken: dict[int, list[Sample]] = {second: [] for second in planned}
    for sample in samples:
        taken.setdefault(_second(begun, sample.number), []).append(sample)
    missing = Counter(_second(begun, number) for number in unanswered if number < turns)
    return tuple(_folded(one, planned.get(one, 0), taken[one], missing[one]) for one in sorted(taken))


def statements_of(growth: Growth, texts: Mapping[int, str]) -> tuple[Statement, ...]:
    """The longest statements by what the server counted; empty where this role is shown none of them.

    What shards say to each other is not among them.
    """
    counted = {one: values for one, values in growth.by_statement.items() if _BOARD not in texts.get(one, "")}
    total = math.fsum(values[1] for values in counted.values())
    if not total or not counted.keys() - {OTHERS}:
        return ()
    return tuple(
        Statement(" ".join(texts[queryid].split()), seconds / total, round(calls), 1000 * seconds / calls)
        for queryid, (calls, seconds, *_) in counted.items()
        if queryid in texts and calls
    )[:MOST_STATEMENTS]


def pooled_of(rows: Iterable[Mapping[str, str]], database: str, at: float) -> Pooled:
    """What SHOW POOLS says about a database, over all its users. One that has no client yet is not shown."""
    mine = [row for row in rows if row["database"] == database]
    waits = (float(row["maxwait"]) + float(row.get("maxwait_us", 0)) / 1e6 for row in mine)
    return Pooled(
        at,
        math.fsum(float(row["cl_waiting"]) for row in mine),
        math.fsum(float(row["sv_active"]) for row in mine),
        max(waits, default=0.0),
    )


def hidden_note(samples: Iterable[Sample], role: str) -> tuple[str, ...]:
    """That there were sessions whose doings are not shown, and what would show them."""
    most = max((group.sessions for one in samples for group in one.groups if group.wait == NOT_SHOWN), default=0)
    if not most:
        return ()
    what = f"what sessions do, up to {most} at a time, is not shown to {role}"
    return (f"{what}: grant pg_read_all_stats to {role}, and track_activities = on",)


def still_answering(number: int, asked: float, done: float, *, answered: bool) -> range:
    """The turns that were due while the server was still answering one; that one, too, if it gave no answer.

    Args:
        number: The turn's.
        asked: When it was asked, in seconds from when the first turn was due.
        done: When that was over.
        answered: Whether it gave an answer.
    """
    first = int(asked / STEP_SECONDS) + 1 if answered else number
    return range(first, int(done / STEP_SECONDS))  # the newest of those that are due is asked next


def slow_note(unanswered: int, turns: int) -> tuple[str, ...]:
    """That the server was too slow to say what it did."""
    if unanswered <= _MANY * turns:
        return ()
    return (f"of {turns} times that it was asked, the server was {unanswered} times still answering the time before",)


def _second(begun: float, number: int) -> int:
    return math.floor(begun + number * STEP_SECONDS + STEP_SECONDS * 1e-6)


def _folded(second: int, planned: int, samples: Sequence[Sample], unanswered: int) -> Second:
    sums: dict[str, int] = {}
    most = 0
    for sample in samples:
        for group in sample.groups:
            sums[group.wait] = sums.get(group.wait, 0) + group.sessions
        most = max(most, sum(group.sessions for group in sample.groups if type_of(group.wait) == LOCK))
    waits = {wait: sums[wait] / len(samples) for wait in sorted(sums)}
    return Second(float(second), planned, len(samples), waits, most, unanswered)
