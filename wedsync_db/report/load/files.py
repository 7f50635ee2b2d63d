"""A load test's files in the reports folder: the page, JUnit's XML for CI, and all figures as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from wedsync_db.load.run import LoadTest
from wedsync_db.report.html import write_page
from wedsync_db.report.load.data import load_data
from wedsync_db.report.load.junit import load_junit
from wedsync_db.report.load.page import load_html


@dataclass(frozen=True, slots=True)
class Written:
    """Where they are."""

    page: Path
    data: Path
    junit: Path


def write_load(test: LoadTest, folder: Path) -> Written:
    """Write all three, side by side under one name.

    Raises:
        OSError: one of them cannot be written.
    """
    name = f"load-{test.environment}-{test.scenario.name}-{test.started_at:%Y%m%dT%H%M%SZ}"
    data = json.dumps({**load_data(test), "started_at": test.started_at.isoformat()}, indent=2) + "\n"
    return Written(
        data=write_page(data, folder / f"{name}.json"),
        junit=write_page(load_junit(test), folder / f"{name}.junit.xml"),
        page=write_page(load_html(test), folder / f"{name}.html"),
    )
