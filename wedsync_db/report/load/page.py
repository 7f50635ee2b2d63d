"""A load test as one HTML page: no script, nothing from outside; every text in it escaped and without secrets."""

from __future__ import annotations

from typing import Any

from wedsync_db.load.run import LoadTest
from wedsync_db.load.summary import Summary
from wedsync_db.report.html import templates
from wedsync_db.report.legend import Key, Shown, keys_of, shown, swatch
from wedsync_db.report.load.cause import causes
from wedsync_db.report.load.data import found_from
from wedsync_db.report.load.draw import pictures
from wedsync_db.report.load.pictures import against, of_run, strip
from wedsync_db.report.load.plot import Picture, Strip
from wedsync_db.report.load.series import representative
from wedsync_db.report.load.server import of_server, server_facts, statements
from wedsync_db.report.load.setup import facts, repro
from wedsync_db.report.load.tables import compared, conditions, health, phases, scripts
from wedsync_db.report.load.told import advice, headline, reasons, tone
from wedsync_db.report.load.words import others, ratio_words


def load_html(test: LoadTest) -> str:
    """The whole page."""
    number = representative(test)
    return (
        templates()
        .get_template("load.html")
        .render(**_told(test), **_seen(test, test.runs[number]), runs=len(test.runs), number=number + 1)
    )


def _told(test: LoadTest) -> dict[str, Any]:
    """What is said of all the runs."""
    against_, slower = test.result.comparison, found_from(test)
    return {
        "test": test,
        "verdict": test.result.verdict.value,
        "tone": tone(test.result.verdict),
        "headline": headline(test),
        "reasons": reasons(test),
        "causes": causes(test),
        "advice": advice(test),
        "facts": facts(test),
        "conditions": conditions(test),
        "strip": _shown(strip(test)),
        "comparison": against_,
        "compared_with": others(against_) if against_ else "",
        "compared": compared(against_) if against_ else (),
        "beside": _shown(against(test)),
        "detectable": ratio_words(slower) if slower else "",
        "health": health(test),
        "again": repro(test),
    }


def _seen(test: LoadTest, run: Summary) -> dict[str, Any]:
    """What is shown of one of them."""
    return {
        "pictures": [_shown(one) for one in of_run(test, run)],
        "phases": phases(test, run),
        "scripts": scripts(test, run),
        "server": [_shown(one) for one in of_server(test, run)],
        "server_facts": server_facts(test, run),
        "statements": statements(run),
        "sampled": run.observed.statements_sampled if run.observed else False,
        "notes": run.observed.notes if run.observed else (),
    }


def _shown(picture: Picture) -> Shown:
    return shown(picture, pictures(picture), _keys(picture))


def _keys(picture: Picture) -> list[Key]:
    if picture.is_empty or isinstance(picture, Strip) or len(picture.layers) + len(picture.marks) < 2:  # noqa: PLR2004
        return []
    marks = dict.fromkeys(label for _, label in picture.marks)
    return [*keys_of(picture.layers), *(Key(label, swatch("line", "ink", "1 2")) for label in marks)]
