"""Lines, progress and answers on the terminal; none of them may stop the work they tell of."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support import values
from wedsync_db.cli import terminal
from wedsync_db.cli.answer import Answer, plain, show, show_error
from wedsync_db.errors import Refused, WedsyncError
from wedsync_db.redact import register_secret


class Terminal(io.StringIO):
    """A stderr that is a terminal."""

    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A stream that takes nothing."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self._error = error

    def write(self, text: str) -> int:
        raise self._error


GONE = BrokenPipeError(32, "Broken pipe")
FULL = OSError(28, "No space left on device")


@pytest.fixture
def clock(monkeypatch):
    """Seconds as the progress sees them."""
    now = [100.0]
    monkeypatch.setattr(terminal.time, "monotonic", lambda: now[0])
    return now


def test_progress_is_written_over_and_gone_at_the_end(monkeypatch, clock):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    progress = terminal.Progress("backup")
    clock[0] += 1
    progress(0.0)
    clock[0] += 1
    progress(0.25)
    progress(0.26)
    terminal.say("a line")
    progress(1.0)
    assert screen.getvalue() == "\r\033[K  backup 0%\r\033[K  backup 25%, 6 s left\r\033[Ka line\n\r\033[K"


def test_progress_is_silent_where_there_is_no_terminal(capsys, clock):
    progress = terminal.Progress("backup")
    clock[0] += 10
    progress(0.5)
    progress(1.0)
    assert capsys.readouterr() == ("", "")


def test_a_line_is_written_over_and_never_longer_than_the_terminal(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "12")
    assert terminal.over("run 1 of 5, steady")
    assert terminal.over("")
    assert screen.getvalue() == "\r\033[Krun 1 of 5,\r\033[K"
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not terminal.over("run 1 of 5")
    assert sys.stderr.getvalue() == ""


def test_line_without_a_terminal_has_no_control_characters(capsys):
    terminal.say("a line")
    assert capsys.readouterr() == ("", "a line\n")


@pytest.mark.parametrize("stream", [None, Broken(GONE), Broken(FULL)])
def test_lost_terminal_stops_nothing(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    terminal.say("a line")
    terminal.Progress("backup")(0.5)


def test_closed_terminal_stops_nothing(monkeypatch):
    screen = Terminal()
    screen.close()
    monkeypatch.setattr(sys, "stderr", screen)
    terminal.say("a line")
    terminal.Progress("backup")(0.5)


def test_secret_is_not_said(capsys):
    register_secret("of-nobody-at-all")
    terminal.say("with of-nobody-at-all")
    show(Answer("with of-nobody-at-all", {"of-nobody-at-all": "of-nobody-at-all"}), as_json=False)
    show(Answer("", {"of-nobody-at-all": ["of-nobody-at-all"]}), as_json=True)
    out, err = capsys.readouterr()
    assert "of-nobody" not in out + err


def test_answer_as_text_and_as_json(capsys):
    answer = Answer("done", {"at": values.AT}, 3)
    assert show(answer, as_json=False) == 3
    assert show(answer, as_json=True) == 3
    assert capsys.readouterr() == ('done\n{\n  "at": "2026-06-07T14:30:00+00:00"\n}\n', "")


def test_answer_without_text_prints_no_empty_line(capsys):
    assert show(Answer("", {}), as_json=False) == 0
    assert capsys.readouterr() == ("", "")


def test_reader_that_went_away_changes_no_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Broken(GONE))
    assert show(Answer("done", {}, 3), as_json=False) == 3


def test_answer_that_cannot_be_written_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", Broken(FULL))
    with pytest.raises(WedsyncError, match="No space left"):
        show(Answer("done", {}), as_json=False)


def test_error_that_cannot_be_written_as_json_is_said(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", Broken(FULL))
    assert show_error(Refused("no"), as_json=True) == 3
    assert capsys.readouterr().err == "error: no\n"


def test_every_value_of_ours_becomes_json():
    for value in (values.plan(), values.rehearsal(), values.backup(), values.deployed(), values.person_needed()):
        document = json.loads(json.dumps(plain(value)))
        assert isinstance(document, dict)
    assert plain(values.backup())["path"] == str(values.backup().path)
    assert plain(values.proofs()[0])["licence"] == "exact"
    assert "objects" not in plain(values.plan()), "what repr leaves out is left out here"
    assert plain((Path("a"), {"b"}, None, 1.5, datetime(2026, 1, 1, tzinfo=UTC))) == [
        "a", ["b"], None, 1.5, "2026-01-01T00:00:00+00:00"
    ]  # fmt: skip


def test_name_like_a_secret_keeps_the_json_whole(capsys):
    data = {"public.password_reset_seq": 12, "sql": "create role x password 'of-nobody'"}
    show(Answer("", data), as_json=True)
    out = capsys.readouterr().out
    assert json.loads(out)["public.password_reset_seq"] == 12
    assert "of-nobody" not in out


def test_letting_go_of_what_is_whole_changes_nothing(capsys):
    sys.stdout.write("kept\n")
    terminal.let_go()
    assert capsys.readouterr().out == "kept\n"


def test_letting_go_without_streams(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    terminal.let_go()
    terminal.prepare()
