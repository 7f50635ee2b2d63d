"""Conditions and figures of a load test as a person says them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from wedsync_db.load.criteria import Criterion
from wedsync_db.load.verdict import Comparison, Judged
from wedsync_db.report.daily.words import counted_short, percent
from wedsync_db.report.markdown import counted

_SECOND = 1000  # milliseconds
_MINUTE = 60_000
_MEDIAN = 50
_TIMES = {
    "response_ms": "response",
    "service_ms": "service time",
    "queue_ms": "wait for a connection",
    "connect_ms": "time to connect",
}
_SUBJECTS = {
    "errors": "errors",
    "dropped": "requests that were never answered",
    "leaks": "rows of another tenant",
    "achieved": "the share of requests that were answered",
    "pool_util": "the use of the connection pool",
    "cache_hit": "the share of data that was found in the server's cache",
    "slow_statements": "requests that took more than a second",
}
_SHARES = frozenset({"pool_util", "achieved", "cache_hit"})
_ASKED = {"<": "less than", "<=": "at most", ">": "more than", ">=": "at least", "==": "exactly"}
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_STATES = {
    "57014": "cancelled by its time limit",
    "40P01": "deadlock",
    "40001": "could not be serialized",
    "53300": "too many connections",
    "55P03": "a lock was not to be had",
    "57P01": "the server ended the session",
    "08006": "the connection was lost",
    "08003": "the connection was lost",
    "08001": "no connection was to be had",
}
_WAITS = {
    "CPU": "computing (CPU)",
    "IO": "the disk (IO)",
    "Lock": "locks of others (Lock)",
    "LWLock": "the server's own bookkeeping (LWLock)",
    "Client": "the network (Client)",
}
_MUCH = 2  # times: "312 % slower" is more than most people can imagine
_DECIMALS = ((1, 2), (10, 1))  # below so many milliseconds, so many digits after the point


def milliseconds(value: float | None) -> str:
    """`0.82 ms`, `4.3 ms`, `812 ms`, `1.55 s`, `2 min 5 s`."""
    if value is None:
        return "–"
    if round(value) >= _MINUTE:
        return "{} min {} s".format(*divmod(round(value / _SECOND), 60))
    if round(value) >= _SECOND:
        return f"{value / _SECOND:.3g} s"
    digits = next((digits for below, digits in _DECIMALS if value < below), 0)
    return f"{value:.{digits}f} ms" if value else "0 ms"


def percentile(number: float) -> str:
    """`median`, `95th percentile`, `99.9th percentile`."""
    if number == _MEDIAN:
        return "median"
    last = {"1": "st", "2": "nd", "3": "rd"}.get(f"{number:g}"[-1], "th")
    return f"{number:g}{'th' if number in (11, 12, 13) else last} percentile"


def subject(criterion: Criterion) -> str:
    """What a condition is about: `the 95th percentile of the response in the phase spike`."""
    return f"{_what(criterion)}{where(criterion)}"


def limit(criterion: Criterion) -> str:
    """What it asks: `less than 50 ms`, `none`."""
    if criterion.op == "==" and not criterion.limit:
        return "none"
    return f"{_ASKED[criterion.op]} {value(criterion, criterion.limit)}"


def value(criterion: Criterion, found: float | None) -> str:
    """A value of what a condition is about, with its unit."""
    if found is None:
        return "not measured"
    if criterion.metric.endswith("_ms"):
        return milliseconds(found)
    if criterion.metric.endswith("_s"):
        return f"{found:g} s"
    if criterion.aggregate == "rate" or criterion.metric in _SHARES:
        return percent(found) if found >= 0.001 or not found else f"{100 * found:.2g} %"  # noqa: PLR2004 0.03 % is not 0
    return counted_short(found) if found else "none"


def found(judged: Judged) -> str:
    """What the runs came to: the value and its interval, or what it was in each of them."""
    one, known = judged.criterion, [each for each in judged.values if each is not None]
    if judged.interval:
        reach = between(judged)
        return f"{value(one, judged.interval.middle)} ({reach})" if reach else value(one, judged.interval.middle)
    if len(known) < len(judged.values):
        return f"not measured in {len(judged.values) - len(known)} of {counted(len(judged.values), 'run')}"
    lowest, highest = value(one, min(known)), value(one, max(known))
    return lowest if lowest == highest else f"{lowest.replace('none', '0')} to {highest}"


def between(judged: Judged) -> str:
    """The interval: `790 ms to 835 ms`; nothing where there is none, or it is too narrow to be told."""
    if judged.interval is None:
        return ""
    low, high = (value(judged.criterion, one) for one in (judged.interval.low, judged.interval.high))
    return f"{low} to {high}" if low != high else ""


def margin(judged: Judged) -> str:
    """How far the value is from its limit: `34 %` of it, `4.1 times` as much; nothing where that says nothing."""
    worst = worst_of(judged)
    if worst is None or judged.criterion.limit <= 0 or judged.criterion.op not in ("<", "<="):
        return ""
    if not worst:
        return ""
    share = worst / judged.criterion.limit
    return percent(share) if share < 1 else f"{share:.1f} times"


def worst_of(judged: Judged) -> float | None:
    """The value that a condition is judged by: the middle of the interval, or the worst of the runs."""
    if judged.interval:
        return judged.interval.middle
    known = [one for one in judged.values if one is not None]
    if not known:
        return None
    return max(known) if judged.criterion.lower_is_better else min(known)


def sentence(judged: Judged) -> str:
    """A condition that was met, or was not, as a sentence without its full stop."""
    one = judged.criterion
    words, said = subject(one), found(judged)
    if None in judged.values:
        return f"{words} was {said}"
    if one.aggregate == "count" and one.lower_is_better:
        there = f"was 1 {_single(words)}" if said == "1" else f"were {said.replace('none', 'no')} {words}"
        return f"there {there}; allowed: {limit(one)}"
    return f"{words} was {said}; asked was {limit(one)}"


def ratio_words(ratio: float) -> str:
    """`12 % slower`, `3 % faster`, `the same`, `4.1 times as slow`."""
    change = round(100 * (ratio - 1))
    if ratio >= _MUCH:
        return f"{ratio:.1f} times as slow"
    return "the same" if not change else f"{abs(change)} % {'slower' if change > 0 else 'faster'}"


def slower_than(ratio: float, what: str) -> str:
    """`12 % slower than in …`, `4.1 times as slow as in …`."""
    return f"{ratio_words(ratio)} {'as' if ratio >= _MUCH else 'than'} in {what}"


def others(against: Comparison) -> str:
    """The runs that it was compared with: `runs before 0012_notes`."""
    return f"runs {against.with_what}" if against.with_what.startswith("before ") else against.with_what


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def state_words(state: str) -> str:
    """What an SQLSTATE means."""
    return f"{_STATES[state]} ({state})" if state in _STATES else f"SQLSTATE {state}"


def wait_words(kind: str) -> str:
    """What a session waits for that waits so."""
    return _WAITS.get(kind, kind)


def capital(text: str) -> str:
    """With a capital letter at its begin."""
    return text[:1].upper() + text[1:]


def _single(words: str) -> str:
    """Of one, what is said of many: `request that was never answered`."""
    first, *rest = words.split(" ")
    return " ".join([first.removesuffix("s"), *("was" if word == "were" else word for word in rest)])


def _what(criterion: Criterion) -> str:
    if criterion.metric in _TIMES:
        kind = "average" if criterion.percent is None else percentile(criterion.percent)
        return f"the {kind} of the {_TIMES[criterion.metric]}"
    if criterion.metric == "recovery_s":
        return f"the time until the response was good again after the phase {criterion.phase}"
    words = _SUBJECTS.get(criterion.metric, criterion.metric.replace("_", " "))
    return f"the share of {words}" if criterion.aggregate == "rate" else words


def where(criterion: Criterion) -> str:
    """Of which script and in which phase, with a blank before it; nothing for all of them."""
    found = f" of the script {criterion.script}" if criterion.script else ""
    if criterion.phase and criterion.metric != "recovery_s":
        found += f" in the phase {criterion.phase}"
    if criterion.window:
        found += f" in the worst {criterion.window} seconds"
    return found
