"""What the tests that kill counted, summed up at the end of a run: tests hand it over by `record_property`."""

from __future__ import annotations

from collections import Counter


def summed(reports) -> dict[str, dict[str, int]]:
    """Figures by title, over all reports; properties that are no figures are left out."""
    found: dict[str, Counter[str]] = {}
    for report in reports:
        for title, figures in getattr(report, "user_properties", ()):
            if getattr(report, "when", None) == "teardown" and isinstance(figures, dict):
                found.setdefault(title, Counter()).update(figures)
    return {title: dict(counter) for title, counter in sorted(found.items())}


def summary(terminalreporter) -> None:
    """Write a line for each title."""
    lines = summed(report for reports in terminalreporter.stats.values() for report in reports)
    if lines:
        terminalreporter.section("what was killed, and what came of it")
    for title, figures in lines.items():
        said = ", ".join(f"{number:,} {name}" for name, number in figures.items())
        terminalreporter.write_line(f"{title}: {said}")
