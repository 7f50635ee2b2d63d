"""prefect.yaml names what is there, with parameters the flows accept."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_every_entrypoint_loads_strictly(deployment, monkeypatch):
    from prefect.flows import load_flow_from_entrypoint

    monkeypatch.chdir(ROOT)
    flow = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    assert flow.name == deployment["name"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda d: d["name"])
def test_parameters_belong_to_the_flow(deployment, monkeypatch):
    from prefect.flows import load_flow_from_entrypoint
    from prefect.utilities.callables import parameter_schema

    monkeypatch.chdir(ROOT)
    flow = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    known = parameter_schema(flow).properties
    assert set(deployment.get("parameters", {})) <= set(known)


def test_prefect_reads_the_file_as_it_is_meant():
    from prefect.cli.deploy._models import PrefectYamlModel

    PrefectYamlModel.model_validate(yaml.safe_load((ROOT / "prefect.yaml").read_text()))
    allowed = {"name", "entrypoint", "description", "tags", "work_pool", "parameters", "concurrency_limit", "schedules"}
    for deployment in DEPLOYMENTS:
        assert set(deployment) <= allowed, "Prefect ignores keys it does not know"


def test_the_form_offers_the_environments_by_name(monkeypatch):
    from prefect.flows import load_flow_from_entrypoint
    from prefect.utilities.callables import parameter_schema

    monkeypatch.chdir(ROOT)
    flow = load_flow_from_entrypoint("flows/deploy.py:deploy", use_placeholder_flow=False)
    schema = parameter_schema(flow).model_dump()
    assert schema["properties"]["environment"]["enum"] == ["case", "case_each"]
    assert "environments.toml" in schema["properties"]["environment"]["description"]
