"""The flow load_shard and how load_test starts it: with nobody who waits for it there is nothing to do."""

import pytest

from flows.__main__ import main
from tests.support.case import write_settings
from wedsync_db.errors import Refused, UsageError

pytestmark = pytest.mark.usefixtures("prefect_server", "environ_taken_back")


def test_started_by_hand_it_is_refused(case):
    from flows.load_shard import load_shard

    write_settings(case.folder, "load_test = true")
    state = load_shard("case", "made-up", 1, return_state=True)
    assert state.name == "Refused"
    assert "no load test with the ticket made-up is under way" in state.message
    assert "password" not in state.message


def test_a_server_without_the_deployment_is_told_of(case):
    from tasks.shards import shards_of

    with pytest.raises(Refused, match="the Prefect server knows no deployment load_shard") as caught:
        with shards_of("case", 2).start("ticket"):
            pass
    assert "`up`" in caught.value.hint


def test_without_a_server_nobody_could_take_a_shard(case):
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tasks.shards import require_api

    require_api()
    with temporary_settings(restore_defaults={PREFECT_API_URL}):
        with pytest.raises(UsageError, match="no Prefect server to start the shards on"):
            require_api()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--shards", "65"), "--shards is 1 to 64"),
        (("--shards", "2", "--engine", "pgbench"), "threads of our own"),
        (("--shards", "3", "--pool", "2"), "3 shards cannot share a pool of 2"),
    ],
)
def test_a_wrong_command_is_told_before_prefect_starts(case, capsys, arguments, said):
    write_settings(case.folder, "load_test = true")
    assert main(["load-test", "case", "spike", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_the_form_says_how_many_there_may_be():
    from prefect.utilities.callables import parameter_schema

    from flows.load_test import load_test

    shards = parameter_schema(load_test).model_dump()["properties"]["shards"]
    assert (shards["minimum"], shards["maximum"], shards["default"]) == (1, 64, 1)
