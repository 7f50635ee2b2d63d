"""A load test as JUnit's XML: a case for each condition, for what CI shows of a job. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from wedsync_db.load.run import LoadTest
from wedsync_db.load.verdict import Verdict
from wedsync_db.redact import redact
from wedsync_db.report.load.setup import repro
from wedsync_db.report.load.told import advice
from wedsync_db.report.load.words import capital, sentence, subject

# https://www.w3.org/TR/xml/#charsets: what is not among these makes a file no XML, escaped or not
_NO_XML = re.compile(r"[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_SOUND = "the measurement is sound"


@dataclass(frozen=True, slots=True)
class _Case:
    """A case; without a verdict it is only told, as one that was skipped."""

    name: str
    verdict: Verdict | None
    message: str


def load_junit(test: LoadTest) -> str:
    """The file's text. FAIL is a failure, INCONCLUSIVE and INVALID are errors.

    Of a measurement that was no good no condition is said to be met or not: those are skipped.
    """
    cases = list(_cases(test))
    failed = sum(one.verdict is Verdict.FAIL for one in cases)
    wrong = sum(one.verdict in (Verdict.INCONCLUSIVE, Verdict.INVALID) for one in cases)
    counts = {"tests": str(len(cases)), "failures": str(failed), "errors": str(wrong)}
    counts["skipped"] = str(sum(one.verdict is None for one in cases))
    took = {
        "timestamp": f"{test.started_at:%Y-%m-%dT%H:%M:%S}",
        "time": f"{test.scenario.seconds * len(test.runs):.0f}",
    }
    name = _clean(f"load-test {test.environment} {test.scenario.name}")
    suites = ET.Element("testsuites", {"name": "wedsync-db load tests", **counts})
    suite = ET.SubElement(suites, "testsuite", {"name": name, **took, **counts})
    properties = ET.SubElement(suite, "properties")
    for key, value in (("server", test.server), ("seed", str(test.seed)), ("again", repro(test))):
        ET.SubElement(properties, "property", name=key, value=_clean(value))
    for one in cases:
        _add(suite, name, one)
    ET.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suites, encoding="unicode")}\n'


def _cases(test: LoadTest) -> Iterable[_Case]:
    result = test.result
    todo = " ".join(advice(test))
    told = f"{'; '.join(result.doubts)}. {todo}"
    yield _Case(_SOUND, Verdict.INVALID if result.doubts else Verdict.PASS, told)
    for ended in result.ended:
        yield _Case("every run came to its end", Verdict.FAIL, ended)
    for one in result.judged:
        verdict = None if result.doubts else one.verdict
        yield _Case(one.criterion.text, verdict, f"{capital(sentence(one))} ({one.why}).")
    if result.comparison:
        for against in result.comparison.found:
            said = f"{capital(subject(against.criterion))}, against {result.comparison.with_what}: {against.why}."
            counts = result.comparison.decides and not result.doubts
            yield _Case(against.criterion.text, against.verdict if counts else None, said)


def _add(suite: ET.Element, class_name: str, one: _Case) -> None:
    case = ET.SubElement(suite, "testcase", classname=class_name, name=_clean(one.name), time="0")
    if one.verdict is None:
        ET.SubElement(case, "skipped", message=_clean(one.message))
    elif one.verdict is not Verdict.PASS:
        kind = "failure" if one.verdict is Verdict.FAIL else "error"
        found = ET.SubElement(case, kind, message=_clean(one.message), type=one.verdict.value)
        found.text = _clean(one.message)


def _clean(text: str) -> str:
    return _NO_XML.sub("�", redact(text))
