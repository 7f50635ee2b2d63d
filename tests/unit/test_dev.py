"""The front door: what each verb runs, when the environment counts as built, and what it says when it cannot be."""

import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys

import pytest

from wedsync_db.installation import CHECKOUT


def load(path):
    """Import the script, which has no extension."""
    loader = importlib.machinery.SourceFileLoader("dev_script", str(path))
    spec = importlib.util.spec_from_loader("dev_script", loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def dev(tmp_path, monkeypatch):
    """The script, working on a checkout of its own."""
    module = load(CHECKOUT / "dev")
    monkeypatch.setattr(module, "CHECKOUT", tmp_path)
    monkeypatch.setattr(module, "LOCK", tmp_path / "requirements.lock")
    monkeypatch.setattr(module, "VENV", tmp_path / ".venv")
    module.LOCK.write_bytes(b"a==1 \\\n    --hash=sha256:00\nb-c==2\n")
    return module


@pytest.fixture
def built(dev):
    """A finished environment, as far as its files go."""
    (dev.VENV / "bin").mkdir(parents=True)
    (dev.VENV / "bin" / "python").symlink_to(sys.executable)
    (dev.VENV / dev.STAMP).write_text(dev.stamp_of(dev.LOCK.read_bytes()))
    return dev


@pytest.mark.parametrize(
    ("verb", "arguments", "runs"),
    [
        ("demo", [], "-m flows demo"),
        ("up", ["--port", "1"], "-m flows up --port 1"),
        ("deploy", ["staging", "--json"], "-m flows deploy staging --json"),
        ("", [], "-m flows --help"),
        ("bench", ["apply"], "-m bench apply"),
        ("faults", ["-k", "x"], "-m pytest -n 2 -m faults or majors -k x"),
        ("test", ["-k", "x"], "-m pytest -n 2 -m not faults and not majors -k x"),
    ],
)
def test_what_a_verb_runs(dev, verb, arguments, runs):
    assert [" ".join(command) for command in dev.commands(verb, arguments)] == [f"{dev.VENV}/bin/python {runs}"]


def test_a_whole_test_run_reports_branches_and_fails_below_ninety_percent(dev):
    ((*_, options),) = [[command] for command in dev.commands("test", [])]
    assert {"--cov", "--cov-branch", "--cov-fail-under=90"} <= set(options)
    assert not any(option.startswith("--cov") for option in dev.commands("test", ["tests/unit"])[0])


def test_check_runs_four_tools(dev):
    names = [
        next(w for w in c if w in ("ruff", "mypy") or w.endswith("lint-imports")) for c in dev.commands("check", [])
    ]
    assert [name.rsplit("/", 1)[-1] for name in names] == ["ruff", "ruff", "mypy", "lint-imports"]


def test_built_means_from_this_lock_and_with_a_python(built):
    stamp = built.stamp_of(built.LOCK.read_bytes())
    assert built.is_built(built.VENV, stamp)
    assert not built.is_built(built.VENV, built.stamp_of(b"another lock"))
    (built.VENV / "bin" / "python").unlink()
    (built.VENV / "bin" / "python").symlink_to("/no/longer/there")
    assert not built.is_built(built.VENV, stamp)


def test_an_interrupted_build_is_none_and_is_redone(dev, monkeypatch):
    asked = []

    def interrupted(venv, what, total):
        asked.append((venv, what, total))
        assert not (venv / dev.STAMP).exists()
        venv.mkdir(exist_ok=True)
        if len(asked) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(dev, "install", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dev.build()
    assert not (dev.VENV / dev.STAMP).exists()
    dev.build()
    assert asked[1] == (dev.VENV, ["--require-hashes", "--requirement", str(dev.LOCK)], 2)
    assert (dev.VENV / dev.STAMP).read_text() == dev.stamp_of(dev.LOCK.read_bytes())
    (dev.VENV / "bin").mkdir()
    (dev.VENV / "bin" / "python").symlink_to(sys.executable)
    dev.build()
    assert len(asked) == 2


def test_a_changed_lock_builds_again_and_drops_the_old_stamp_first(built, monkeypatch):
    seen = []
    monkeypatch.setattr(built, "install", lambda venv, *_: seen.append((venv / built.STAMP).exists()))
    built.LOCK.write_bytes(b"a==2\n")
    built.build()
    assert seen == [False]


def test_a_second_process_waits_and_then_finds_it_built(dev, monkeypatch):
    def somebody_else_was_first(*_):
        (dev.VENV / "bin").mkdir(parents=True)
        (dev.VENV / "bin" / "python").symlink_to(sys.executable)
        (dev.VENV / dev.STAMP).write_text(dev.stamp_of(dev.LOCK.read_bytes()))

    monkeypatch.setattr("fcntl.flock", somebody_else_was_first)
    monkeypatch.setattr(dev, "install", lambda *_: pytest.fail("built twice"))
    dev.build()


def test_an_old_python_is_named(dev, monkeypatch):
    monkeypatch.setattr(dev.sys, "version_info", (3, 9, 2))
    assert dev.missing().startswith("wedsync-db needs Python 3.11 or newer; this is 3.9 (")


def test_a_python_without_ensurepip_is_told_its_package(dev, monkeypatch):
    monkeypatch.setattr(dev, "find_spec", lambda name: None if name == "ensurepip" else object())
    major, minor = sys.version_info[:2]
    assert f"apt-get install python{major}.{minor}-venv" in dev.missing()


def test_this_python_lacks_nothing(dev):
    assert dev.missing() == ""


def test_what_is_missing_ends_with_two_before_anything_is_built(dev, monkeypatch, capsys):
    monkeypatch.setattr(dev, "missing", lambda: "something is missing")
    monkeypatch.chdir(dev.CHECKOUT)
    assert dev.main(["status"]) == 2
    assert capsys.readouterr().err == "something is missing\n"
    assert not dev.VENV.exists()


@pytest.mark.parametrize(
    ("output", "says"),
    [
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "its hash differs"),
        ("WARNING: Retrying … NewConnectionError('…')\nERROR: No matching distribution", "index cannot be reached"),
        ("OSError: [Errno 28] No space left on device", "no space left"),
        ("Collecting a\nERROR: Could not build b\nnotice", "ERROR: Could not build b"),
        ("the last line", "the last line"),
        ("", "pip said nothing"),
    ],
)
def test_why_pip_failed(dev, output, says):
    assert says in dev.explain(output)
    assert "\n" not in dev.explain(output)


def test_prefect_lives_in_the_state_folder_unless_the_caller_says_otherwise(dev):
    found = dev.environment({"WEDSYNC_HOME": "/srv/state", "KEPT": "1"})
    assert found["PREFECT_HOME"] == "/srv/state/prefect"
    assert found["DO_NOT_TRACK"] == found["KEPT"] == "1"
    assert found["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert dev.environment({"WEDSYNC_HOME": "/srv/state", "PREFECT_HOME": "/p"})["PREFECT_HOME"] == "/p"


def test_a_wrong_state_folder_is_a_usage_error_in_one_line(dev, capsys):
    with pytest.raises(SystemExit) as caught:
        dev.environment({"WEDSYNC_HOME": "relative"})
    assert caught.value.code == 2
    assert capsys.readouterr().err == "WEDSYNC_HOME is not an absolute path: relative\n"


def test_tests_run_in_memory_where_there_is_room_and_nobody_chose_otherwise(dev, monkeypatch, tmp_path):
    monkeypatch.setattr(dev, "MEMORY", str(tmp_path))
    monkeypatch.setattr(dev, "ROOM", 1)
    assert dev.in_memory({}) == {"TMPDIR": str(tmp_path)}
    assert dev.in_memory({"TMPDIR": "/elsewhere"}) == {"TMPDIR": "/elsewhere"}
    monkeypatch.setattr(dev, "ROOM", 2**80)
    assert dev.in_memory({}) == {}
    monkeypatch.setattr(dev, "MEMORY", str(tmp_path / "missing"))
    assert dev.in_memory({}) == {}


def test_several_commands_all_run_and_one_failure_fails(dev, capfd):
    say = [[sys.executable, "-c", f"print({n}); raise SystemExit({n})"] for n in (0, 3, 0)]
    assert dev.run(say, dict(os.environ)) == 1
    out, err = capfd.readouterr()
    assert out.split() == ["0", "3", "0"]
    assert err.count("Failed:") == 1
    assert dev.run([say[0], say[2]], dict(os.environ)) == 0


def test_one_command_takes_over_and_its_exit_code_is_kept():
    script = (
        "import importlib.machinery, os, sys\n"
        f"dev = importlib.machinery.SourceFileLoader('dev_script', {str(CHECKOUT / 'dev')!r}).load_module()\n"
        "dev.run([[sys.executable, '-c', 'raise SystemExit(4)']], dict(os.environ))"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], check=False)
    assert done.returncode == 4


@pytest.mark.faults  # makes a real environment, which takes a while
def test_a_broken_install_says_why_and_leaves_no_stamp(dev, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    dev.LOCK.write_bytes(b"no-such-package-of-ours==1 --hash=sha256:" + b"0" * 64 + b"\n")
    with pytest.raises(SystemExit) as caught:
        dev.build()
    assert "could not be built. ERROR: No matching distribution" in str(caught.value)
    assert not (dev.VENV / dev.STAMP).exists()


def test_progress_is_for_terminals(dev, monkeypatch, capsys):
    dev.progress("fetching 1 of 2")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(dev.sys.stderr, "isatty", lambda: True)
    dev.progress("fetching 1 of 2")
    dev.progress("")
    assert capsys.readouterr().err == "\r  fetching 1 of 2\033[K\r\033[K"


def test_the_front_door_is_small_executable_and_needs_the_standard_library_only():
    path = CHECKOUT / "dev"
    text = path.read_text()
    assert os.access(path, os.X_OK)
    assert len(text.splitlines()) <= 220
    imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE))
    assert imported <= sys.stdlib_module_names


def test_the_lock_holds_hashes_and_no_address():
    text = (CHECKOUT / "requirements.lock").read_text()
    assert "://" not in text
    pins = re.findall(r"^[\w.-]+==\S+.*\\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^[\w.-]", text, re.MULTILINE)) > 100
