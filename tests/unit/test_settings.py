"""environments.toml: what is read, and the one line an operator gets for each mistake."""

import re
from dataclasses import fields
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db import settings
from wedsync_db.errors import UsageError
from wedsync_db.settings import (
    Environment,
    GuardSettings,
    HistorySettings,
    LockSettings,
    MaintenanceSettings,
    RetentionSettings,
    load_environment,
    load_environments,
    load_history,
)

CHECKOUT = Path(__file__).parents[2]
SECRET = "hunter2-Tr0ub4dor"


@pytest.fixture
def file(tmp_path):
    """Write a settings file: `file(body)` is the body of [environments.demo], `file(whole=...)` everything."""

    def write(body="", *, whole=None):
        path = tmp_path / "environments.toml"
        path.write_text(f"[environments.demo]\n{body}\n" if whole is None else whole)
        return path

    return write


def refused(path, name=None):
    with pytest.raises(UsageError) as caught:
        load_environment(path, name) if name else load_environments(path)
    error = caught.value
    assert error.exit_code == 2
    assert "\n" not in error.message
    assert SECRET not in f"{error.message} {error.hint}"
    return f"{error.message} | {error.hint}"


def test_the_shipped_file_is_valid_and_careful_about_production():
    environments = load_environments(CHECKOUT / "environments.toml")
    assert list(environments) == ["demo", "staging", "production"]
    production = environments["production"]
    assert production.require_tls
    assert production.approval
    assert production.guard.freeze == "refuse"
    assert production.guard.weddings == "refuse"
    assert not production.allow_data_copy
    assert production.promoted_from == "staging"
    assert environments["demo"].promoted_from is None


def test_defaults_and_paths_relative_to_the_file(file):
    path = file("embedded_major = 16\nmigrations = '../elsewhere'")
    demo = load_environment(path, "demo")
    assert demo == Environment(name="demo", embedded_major=16, migrations=path.parent.parent / "elsewhere")
    assert load_environment(file("embedded_major = 16"), "demo").migrations == path.parent / "migrations"


def test_every_key_can_be_set(file):
    path = file(
        """
        url_env = "WEDSYNC_URL"
        description = "x"
        role = "Owner of all"
        migrations = "/srv/m"
        allow_data_copy = true
        atomic = "migration"
        require_tls = true
        require_exact_revert = false
        approval = true
        approval_timeout_minutes = 15
        promoted_from = "first"
        backup_jobs = 4
        pooler_url_env = "WEDSYNC_POOLER_URL"
        notify = ["slack-webhook/on-call", "custom-webhook/ops"]
        notify_on = ["person_needed", "rolled_back"]
        [environments.demo.guard]
        freeze = "warn"
        zone = "Australia/Sydney"
        freeze_from_friday_hour = 12
        weddings = "warn"
        locked_weddings_allowed = 7
        long_transaction_seconds = 60
        free_disk_factor = 3
        clock_skew_seconds = 0.5
        wait_for_holder_seconds = 0
        [environments.demo.locks]
        poll_seconds = 0
        lock_timeout_ms = 250
        attempts = 3
        statement_timeout_ms = 1000
        roll_back_seconds = 60
        hold_budget_seconds = 2.5
        [environments.first]
        embedded_major = 18
        """
    )
    assert load_environment(path, "demo") == Environment(
        name="demo",
        description="x",
        url_env="WEDSYNC_URL",
        role="Owner of all",
        migrations=Path("/srv/m"),
        allow_data_copy=True,
        atomic="migration",
        require_tls=True,
        require_exact_revert=False,
        approval=True,
        approval_timeout_minutes=15,
        promoted_from="first",
        backup_jobs=4,
        pooler_url_env="WEDSYNC_POOLER_URL",
        notify=("slack-webhook/on-call", "custom-webhook/ops"),
        notify_on=("person_needed", "rolled_back"),
        guard=GuardSettings("warn", "Australia/Sydney", 12, "warn", 7, 60, 3.0, 0.5, 0.0),
        locks=LockSettings(0.0, 250, 3, 60.0, 1000, 2.5),
    )


def test_what_looks_after_a_database_is_set_like_the_rest(tmp_path):
    file = tmp_path / "environments.toml"
    file.write_text(
        "[history]\nurl_env = 'WEDSYNC_HISTORY_URL'\nraw_days = 7\n"
        "[environments.demo]\nembedded_major = 18\n"
        "[environments.demo.maintenance]\nbudget_minutes = 5\n[environments.demo.retention]\nkeep_days = 3\n"
        "[environments.demo.health.connections]\ndegraded = 0.5\n[environments.demo.health.disk_free]\noff = true\n"
    )
    demo = load_environment(file, "demo")
    assert demo.maintenance.budget_minutes == 5
    assert demo.retention.keep_days == 3
    assert demo.health == {"connections": {"degraded": 0.5}, "disk_free": {"off": True}}
    assert load_history(file) == HistorySettings(None, None, "WEDSYNC_HISTORY_URL", raw_days=7)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[history]\nurl_env = 'X'\ndatabase = 'h'\n", "history has both a server of ours and url_env"),
        ("[history]\nkeep = 1\n", "history: unknown key 'keep'"),
        ("[history]\nurl_env = 'postgresql://me:secret@h/d'\n", "holds a password"),
        (
            "[environments.demo]\nembedded_major = 18\n[environments.demo.health.conections]\ndegraded = 1\n",
            "health: unknown key 'conections'; did you mean 'connections'?",
        ),
    ],
)
def test_bad_settings_of_what_looks_after_a_database(tmp_path, text, said):
    file = tmp_path / "environments.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=re.escape(said)):
        load_environments(file)


def test_the_history_store_is_embedded_where_nothing_is_said(tmp_path):
    file = tmp_path / "environments.toml"
    file.write_text("")
    assert load_history(file) == HistorySettings()


def test_no_setting_is_without_a_reader():
    assert settings._GUARD.keys() == {f.name for f in fields(GuardSettings)}
    assert settings._LOCKS.keys() == {f.name for f in fields(LockSettings)}
    assert settings._MAINTENANCE.keys() == {f.name for f in fields(MaintenanceSettings)}
    assert settings._RETENTION.keys() == {f.name for f in fields(RetentionSettings)}
    assert settings._HISTORY.keys() == {f.name for f in fields(HistorySettings)}
    read_apart = {"name", "migrations", "guard", "locks", "maintenance", "retention", "health"}
    assert settings._ENVIRONMENT.keys() == {f.name for f in fields(Environment)} - read_apart


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("embeded_major = 18", "environments.demo: unknown key 'embeded_major'; did you mean 'embedded_major'?"),
        ("guard.freez = 'off'", "environments.demo.guard: unknown key 'freez'; did you mean 'freeze'?"),
        ("zzzzzzzz = 1", "unknown key 'zzzzzzzz' | Known are: "),
        ("embedded_major = '18'", "environments.demo.embedded_major must be 15 or 16 or 17 or 18, not '18'"),
        ("embedded_major = 14", "must be 15 or 16 or 17 or 18, not 14"),
        ("embedded_major = 18.0", "must be 15 or 16 or 17 or 18 |"),
        ("embedded_major = true", "must be 15 or 16 or 17 or 18, not True"),
        ("approval = 1", "approval must be true or false, not a whole number"),
        ("approval_timeout_minutes = 0", "approval_timeout_minutes must be between 1 and 10080, not 0"),
        ("approval = 2026-06-06", "approval must be true or false, not a date or time"),
        ("description = ['a']", "description must be text, not a list"),
        ("backup_jobs = 0", "backup_jobs must be between 1 and 64, not 0"),
        ("backup_jobs = 2.0", "backup_jobs must be a whole number, not a number"),
        ("backup_jobs = true", "backup_jobs must be a whole number, not true or false"),
        ("notify = 'slack-webhook/on-call'", "notify must be a list, not text"),
        (f"notify = ['https://hooks.slack.com/{SECRET}']", "the type and the name of a Prefect block, slack-webhook"),
        (f"notify = ['{SECRET}']", "never a URL"),
        ("notify = ['a/b', 'a/b']", "notify names something twice"),
        ("notify_on = ['finished']", "notify_on must be 'started' or 'person_needed' or 'done'"),
        ("migrations = ''", "migrations must be a path, not empty"),
        ("database = ''", "database must be a name of 1 to 63 bytes"),
        (f"role = '{'ä' * 32}'", "role must be a name of 1 to 63 bytes"),
        ("guard.freeze = 'stop'", "guard.freeze must be 'off' or 'warn' or 'refuse', not 'stop'"),
        ("guard.zone = 'Europe/Lodnon'", "names no time zone: 'Europe/Lodnon'; did you mean 'Europe/London'?"),
        ("guard.zone = '../../etc/passwd'", "names no time zone"),
        ("guard.zone = ''", "names no time zone"),
        ("guard.freeze_from_friday_hour = 25", "must be between 0 and 24, not 25"),
        ("guard.weddings = 'maybe'", "guard.weddings must be 'off' or 'warn' or 'refuse', not 'maybe'"),
        ("guard.locked_weddings_allowed = -1", "must be between 0 and 1000000, not -1"),
        ("guard.free_disk_factor = -1", "must be above zero, not -1"),
        ("guard.free_disk_factor = 0", "must be above zero, not 0"),
        ("guard.clock_skew_seconds = nan", "must be above zero, not nan"),
        ("guard.clock_skew_seconds = inf", "must be above zero, not inf"),
        ("guard.clock_skew_seconds = true", "must be a number, not true or false"),
        ("guard.wait_for_holder_seconds = -0.1", "must be zero or more, not -0.1"),
        ("guard.long_transaction_seconds = 0", "must be between 1 and 604800, not 0"),
        ("locks.lock_timeout_ms = 0", "must be between 1 and 2147483647, not 0"),
        ("locks.attempts = 0", "must be between 1 and 1000, not 0"),
        ("locks = 3", "environments.demo.locks must be a table | [environments.demo.locks]"),
        ("url_env = 'A'\nembedded_major = 18", "has both embedded_major and url_env"),
        ("description = 'x'", "has neither embedded_major nor url_env"),
        ("url_env = 'A'\ndatabase = 'x'", "environments.demo.database is for embedded servers"),
        ("embedded_major = ", "is not valid TOML: Invalid value (at line 2, column "),
    ],
)
def test_a_mistake_gets_one_line_with_its_place(file, body, said):
    assert said in refused(file(body))


@pytest.mark.parametrize(
    "body",
    [
        f"url_env = 'postgresql://app:{SECRET}@db/wedsync'",
        f"url_env = 'host=db password={SECRET}'",
        f"url_env = '{SECRET}'",
        f"url = 'postgresql://app:{SECRET}@db/wedsync'",
        f"description = 'see postgresql://app:{SECRET}@db/wedsync'",
        f"embedded_major = 'postgresql://app:{SECRET}@db/wedsync'",
        f"guard.zone = 'x://a:{SECRET}@b'",
        f"'postgresql://app:{SECRET}@db' = 1",
        f"url_env = postgresql://app:{SECRET}@db/wedsync",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_shown(file, body):
    refused(file(body))


@hypothesis.settings(max_examples=20)  # each looks for the nearest of 600 time zones
@given(st.text(min_size=1).map(lambda t: SECRET + "://:" + t + "@"))
def test_no_value_that_may_be_a_url_is_ever_shown(value):
    for reader in [*settings._GUARD.values(), *settings._LOCKS.values(), *settings._ENVIRONMENT.values()]:
        try:
            reader(value)
        except ValueError as error:
            assert SECRET not in str(error)  # noqa: PT017 - most readers refuse it, those for free text may not


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (
            "'demos'",
            None,
            "demo.promoted_from names no environment: 'demos'; did you mean 'demo'? | It can be one of: next",
        ),
        ("'demo'", None, "demo.promoted_from leads back to demo | One environment has to come first"),
        ("'next'", "'demo'", "demo.promoted_from leads back to demo"),
        (f"'{SECRET}://'", None, "demo.promoted_from names no environment | "),
        ("3", None, "demo.promoted_from must be text"),
    ],
)
def test_an_environment_is_promoted_from_another_one(file, first, second, said):
    more = f"promoted_from = {second}" if second else ""
    path = file(f"embedded_major = 18\npromoted_from = {first}\n[environments.next]\nembedded_major = 18\n{more}")
    assert said in refused(path)


def test_a_load_test_is_asked_of_the_environment_that_comes_first(file):
    path = file("embedded_major = 18\nrequire_load_test = 'spike'")
    assert "demo.require_load_test needs promoted_from | A load test of which environment?" in refused(path)


def test_an_unknown_environment_lists_the_known_ones(file):
    path = file("embedded_major = 18")
    assert refused(path, "dmo") == "there is no environment dmo; did you mean 'demo'? | environments.toml knows: demo"
    assert "of that name" in refused(path, f"postgresql://u:{SECRET}@h/d")
    assert "environments.toml knows: none" in refused(file(whole=""), "demo")


@pytest.mark.parametrize("name", ["Demo", "'../x'", "9", "'a b'", f"{'a' * 41}"])
def test_a_name_must_be_fit_for_a_folder(file, name):
    assert "is no good name" in refused(file(whole=f"[environments.{name}]\nembedded_major = 18\n"))


def test_the_file_itself_may_be_wrong(file, tmp_path):
    assert "there is no nowhere.toml" in refused(tmp_path / "nowhere.toml")
    assert "cannot be read" in refused(tmp_path)
    assert "unknown key 'environment'; did you mean 'environments'?" in refused(file(whole="[environment.demo]\n"))
    assert "environments must be a table" in refused(file(whole="environments = 1\n"))
    assert "environments.demo must be a table" in refused(file(whole="[environments]\ndemo = 1\n"))
    (tmp_path / "latin.toml").write_bytes(b"# \xe4\n")
    assert "is not UTF-8" in refused(tmp_path / "latin.toml")
