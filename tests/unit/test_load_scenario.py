"""Scenario files: ours are right, and what is wrong with another is said in a line, before anything is connected."""

import re

import pytest

from wedsync_db.errors import UsageError
from wedsync_db.load.scenario import find_scenario, read_scenario, shipped, with_options
from wedsync_db.load.scripts import Composer, Draw, Script, tenant_key

GOOD = """
title = "T"
users = 100
tenants = 10
pool = 4
think_seconds = 2
prelude = "who.sql"
[[phases]]
name = "steady"
seconds = 10
users = 100
[scripts.one]
share = 1
file = "one.sql"
tenant_column = 0
draw.n = {least = 1, most = 3}
[thresholds]
response_ms = ["p(95)<50 @steady"]
"""


@pytest.fixture
def written(tmp_path):
    """Write a scenario with this script and prelude; its path."""

    def write(text=GOOD, script="select :n", prelude="select set_config('x', :user::text, true)"):
        (tmp_path / "one.sql").write_text(script)
        (tmp_path / "who.sql").write_text(prelude)
        path = tmp_path / "own.toml"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("name", shipped())
def test_ours_are_right(name):
    scenario = read_scenario(find_scenario(name))
    assert scenario.title
    assert scenario.description
    metrics = {one.metric for one in scenario.criteria}
    assert {"response_ms", "errors", "dropped", "leaks", "achieved"} <= metrics


def test_more_clients_than_the_pool_share_it_through_a_pooler(written):
    text = GOOD.replace("pool = 4", 'pool = 4\nclients = 5000\nconnections = "pgbouncer"')
    scenario = read_scenario(written(text))
    assert (scenario.held, scenario.pool, scenario.connect) == (5000, 4, "once")
    assert with_options(scenario, pool=20).held == 5000
    with pytest.raises(UsageError, match="own: 5000 clients never use a pool of 6000"):
        with_options(scenario, pool=6000)


def test_as_many_clients_as_the_pool_unless_said_otherwise(written):
    scenario = read_scenario(written())
    assert scenario.held == 4
    assert with_options(scenario, pool=7, repeats=2).held == 7
    assert with_options(scenario, repeats=2).repeats == 2


def test_users_and_their_thinking_make_the_rate(written):
    scenario = read_scenario(written())
    assert [phase.rate for phase in scenario.phases] == [50]
    assert scenario.seconds == 10


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "T"', "", "title is missing"),
        ("users = 100\ntenants", "tenants", "users is missing"),
        ("users = 100\ntenants", "users = 0\ntenants", "users must be between"),
        ("pool = 4", "pool = 4\nspool = 1", "unknown key 'spool'; did you mean 'pool'?"),
        ("seconds = 10", "seconds = 0", r"phases\[0\].seconds must be above zero"),
        ("seconds = 10", "seconds = 10\nrate = 3", "either users or rate"),
        ('name = "steady"', 'name = "steady"\nmeasured = false', "no phase is measured"),
        ("seconds = 10\nusers = 100", "seconds = 10\nusers = 0", "no phase is measured"),
        ("seconds = 10\nusers = 100", "seconds = 10\nrate = 1000000", "more than 100,000 arrivals a second"),
        ("[scripts.one]\nshare = 1", "[scripts.one]\nshare = 0", "share must be above zero"),
        ('file = "one.sql"', 'file = "two.sql"', "two.sql cannot be read"),
        ("draw.n = {least = 1, most = 3}", "", ":n is not drawn"),
        ("draw.n = {least = 1, most = 3}", "draw.n = {least = 5, most = 3}", "the smaller one first"),
        ("draw.n = {least = 1, most = 3}", 'draw.n = {least = 1, most = 3, shape = "odd"}', "shape must be"),
        ('response_ms = ["p(95)<50 @steady"]', "", "asks for nothing"),
        ('"p(95)<50 @steady"', '"p(95)<50 @dusk"', "no phase dusk"),
        ('response_ms = ["p(95)<50 @steady"]', "response_ms = [50]", "expr must be"),
        ("[thresholds]", '[thresholds]\n"recovery_s{phase=steady}" = ["value<3"]', "the run ends 0 s after it"),
        ("[[phases]]", "[phases]", "phases is missing"),
        ("pool = 4", "pool = 4\nclients = 3", "3 clients never use a pool of 4"),
        ("pool = 4", "pool = 4\nclients = 5", "5 clients do not fit onto 4 connections of their own"),
        ("pool = 4", "pool = 4\nclients = 30000", "clients must be between"),
        ("pool = 4", 'pool = 4\nconnections = "pgpool"', "connections must be"),
        ("pool = 4", 'pool = 4\nconnect = "twice"', "connect must be"),
        (
            "pool = 4",
            'pool = 4\nconnections = "pgbouncer"\nconnect = "each"\nclients = 1001',
            "1,001 clients that each connect anew are too many",
        ),
        ("response_ms = [", 'connect_ms = ["p(95)<100"]\nresponse_ms = [', "connect_ms is not measured"),
        ('title = "T"', 'title = "T', "not valid TOML"),
    ],
)
def test_what_is_wrong_is_said(written, old, new, said):
    assert old in GOOD
    with pytest.raises(UsageError, match=said):
        read_scenario(written(GOOD.replace(old, new)))


@pytest.mark.parametrize(
    "script",
    [
        "drop table t",
        "truncate t",
        "set search_path = x",
        "set session authorization x",
        "commit",
        "copy t to stdout",
        "do $$ begin end $$",
        "selec 1",
        "vacuum",
        "call p()",
    ],
)
def test_a_script_that_is_none_for_a_load_test_is_refused(written, script):
    with pytest.raises(UsageError, match="script one"):
        read_scenario(written(script=f"select :n; {script}"))


def test_a_scenario_that_is_not_there_names_those_that_are():
    with pytest.raises(UsageError, match=r"did you mean 'users_1000'\?"):
        find_scenario("users_100")


def test_a_message_has_the_numbers_and_casts_stay():
    script = Script("s", 1, "select :n::text, ':n'", {"n": Draw(1, 3)})
    composer = Composer(script, "select :user;")
    assert composer.message({"n": 7, "user": 3}) == b"select 3;\nselect 7::text, '7'"


def test_draws_stay_within_and_few_are_few():
    import numpy as np

    rng = np.random.default_rng(1)
    even, few = Draw(5, 9).draw(rng, 10_000), Draw(5, 1004, "few").draw(rng, 10_000)
    assert (even.min(), even.max()) == (5, 9)
    assert few.min() == 5
    assert few.max() <= 1004
    assert np.mean(few == 5) == pytest.approx(0.18, abs=0.03)


def test_keys_are_uuids():
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", tenant_key(255))
    assert tenant_key(255).endswith("0000ff")
