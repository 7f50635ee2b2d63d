"""A load test, told: in a line, in words, as Markdown, as figures for programs, as a page, as JUnit's XML for CI."""

from wedsync_db.report.load.data import load_data
from wedsync_db.report.load.text import load_line, load_markdown, load_text

__all__ = ["load_data", "load_line", "load_markdown", "load_text"]
