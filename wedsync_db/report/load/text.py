"""A load test in words: the verdict, what each condition came to, and what could not have been seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from wedsync_db.load.run import LoadTest
from wedsync_db.load.steady import drift
from wedsync_db.load.verdict import Compared, Judged, Verdict
from wedsync_db.report.load.cause import causes
from wedsync_db.report.load.data import found_from
from wedsync_db.report.load.series import representative
from wedsync_db.report.load.setup import repro, setup_line
from wedsync_db.report.load.told import advice, headline, reasons
from wedsync_db.report.load.words import found, limit, subject
from wedsync_db.report.markdown import table, untagged

_MEANS = {
    Verdict.PASS: "it holds what is asked of it",
    Verdict.FAIL: "it does not hold what is asked of it",
    Verdict.INCONCLUSIVE: "these runs cannot tell",
    Verdict.INVALID: "the measurement was no good, and says nothing about the database",
}


def load_line(test: LoadTest) -> str:
    """In a line."""
    return f"{test.environment}, {test.scenario.title}: {test.result.verdict} ({_MEANS[test.result.verdict]})"


def load_text(test: LoadTest) -> str:
    """For the terminal."""
    result = test.result
    lines = [
        load_line(test),
        f"  {setup_line(test)}",
        *(f"  {_line(one)}" for one in result.judged),
        *(f"  {line}" for line in result.ended),
        *(f"  {doubt}" for doubt in result.doubts),
        *(f"  {note}" for note in drift(test.scenario, test.runs[representative(test)])),
    ]
    if result.comparison:
        lines.append(f"  against {result.comparison.with_what}:")
        lines += [f"  {_against(one)}" for one in result.comparison.found]
    elif detectable := found_from(test):
        lines.append(
            f"  a p95 that is {detectable - 1:.0%} slower would have been noticed in a comparison; less, perhaps not"
        )
    return "\n".join(lines)


def load_markdown(test: LoadTest) -> str:
    """For the run's page."""
    head = ("", "condition", "asked", "found", "")
    rows = [(one["verdict"], one["condition"], one["asked"], one["found"], one["why"]) for one in condition_rows(test)]
    parts = [
        f"# {test.result.verdict}: {untagged(headline(test))}\n",
        *(f"- {untagged(one)}" for one in reasons(test)),
        *(f"\n{untagged(one)}" for one in (*causes(test), *advice(test))),
        f"\n{untagged(setup_line(test))}\n",
        table(head, rows),
        *_doubts(test.result.doubts),
        f"\nAgain: `{repro(test)}`",
    ]
    return "\n".join(parts)


def condition_rows(test: LoadTest) -> list[Mapping[str, str]]:
    """The conditions as a table: of each what was asked and what was found."""
    rows = [_row(one, found(one)) for one in test.result.judged]
    against = test.result.comparison
    if against:
        rows += [_row(one, f"{one.ratio:.2f} times" if one.ratio else "not known") for one in against.found]
    return rows


def _row(one: Judged | Compared, came_to: str) -> Mapping[str, str]:
    compared = isinstance(one, Compared)
    return {
        "verdict": one.verdict.value,
        "condition": subject(one.criterion),
        "asked": f"less than {one.criterion.limit:g} times the others'" if compared else limit(one.criterion),
        "found": came_to,
        "why": one.why,
    }


def _doubts(doubts: Sequence[str]) -> list[str]:
    return ["\n## Why it is no measurement\n", *(f"- {untagged(one)}" for one in doubts)] if doubts else []


def _value(one: Judged) -> str:
    if one.interval:
        return f"{one.interval.middle:.3g} ({one.interval.low:.3g} to {one.interval.high:.3g})"
    return ", ".join("not measured" if value is None else f"{value:.4g}" for value in one.values)


def _line(one: Judged) -> str:
    return f"{one.verdict.value:<12}  {one.criterion.text}: {_value(one)}; {one.why}"


def _against(one: Compared) -> str:
    ratio = f"{one.ratio:.2f} times" if one.ratio else "not known"
    return f"{one.verdict.value:<12}  {one.criterion.text}: {ratio}; {one.why}"
