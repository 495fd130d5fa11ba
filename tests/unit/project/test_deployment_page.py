"""docs/deployment.md documents every parameter, and its commands work."""

import json
import re
import shlex
from pathlib import Path

import pytest

from cli.verify.checks import CHECKS
from tests.support.template.choosing import DOCUMENT, Chosen
from tests.support.template.deploying import deploy, given
from tests.support.template.permissions import SERVICES

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/deployment.md").read_text()
ROWS = dict(re.findall(r"^\| `(\w+)` \|(?: (\S*))? \|", TEXT, re.MULTILINE))
DEPLOYS = re.findall(r"^make deploy.*$", TEXT, re.MULTILINE)
EVENTS = re.findall(r"^facet invoke HoursFunction (\S+)", TEXT, re.MULTILINE)
ENVIRONMENTS = {"default", "dev", "prod"}

EVIDENCE = {
    "test": re.compile(r"`tests/\S+\.py`"),
    "second implementation": re.compile(r"`tests/\S+\.py`"),
    "AWS's own code": re.compile(r"`tests/\S+\.py`"),
    "documentation": re.compile(r"\(https://\S+\)"),
    "only in an account": re.compile(""),
}
"""Kinds of proof, and what each must name. Another test checks that the files exist."""


def test_every_parameter_is_in_a_table_with_its_default() -> None:
    rows = {name: default for name, default in ROWS.items() if name not in ENVIRONMENTS}
    assert rows == {name: str(each["Default"]) for name, each in DOCUMENT["Parameters"].items()}


@pytest.mark.parametrize("page", ["api.md", "onboarding.md"])
def test_other_pages_state_the_same_defaults(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    rows = re.findall(r"^\| (`[A-Z]\w+`(?:, `\w+`)*) \|(?: ([^|]+))? \|", text, re.MULTILINE)
    assert rows
    for cell, values in rows:
        names = re.findall(r"`(\w+)`", cell)
        defaults = re.sub(r"(?<=\d),(?=\d{3})", "", values).split(", ")
        assert defaults == [str(DOCUMENT["Parameters"][name]["Default"]) for name in names]


@pytest.mark.parametrize("line", DEPLOYS)
def test_make_and_the_template_accept_each_deploy(line: str) -> None:
    _, _, *arguments = shlex.split(line)
    parameters = given(deploy(*arguments))
    del parameters["TrainingCode"]
    assert Chosen(**parameters).refusals() == []


def test_its_events_exist() -> None:
    assert EVENTS
    assert all((ROOT / each).exists() for each in EVENTS)


def test_the_key_policy_allows_the_services_without_a_role() -> None:
    (block,) = re.findall(r"^```json\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    principals = [each["Principal"] for each in json.loads(block)["Statement"]]
    services = {name for each in principals for name in _many(each.get("Service", []))}
    assert services == {
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
        "logs.REGION.amazonaws.com",
    }


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def test_the_vpc_table_has_an_endpoint_for_each_service_that_functions_call() -> None:
    _, _, rest = TEXT.partition("\n## VPC\n")
    table = rest.partition("\n## ")[0]
    named = set(re.findall(r"`([\w.]+)`", table))
    assert {each.replace("-", ".") for each in SERVICES} <= named
    assert {"logs", "xray", "ecr.api", "ecr.dkr", "sagemaker.api"} <= named


def test_resources_and_outputs_that_it_names_are_the_templates() -> None:
    for name in ("UpdateErrorsAlarm", "LoadingWaitAlarm", "WhatTheUpdateDoes"):
        assert f"`{name}`" in TEXT
        assert name in DOCUMENT["Resources"]
    assert "`UploadersPolicyArn`" in TEXT
    assert "UploadersPolicyArn" in DOCUMENT["Outputs"]


def test_its_links_to_sections_and_files_lead_somewhere() -> None:
    places = re.findall(r"\]\(([\w./-]+)\)", TEXT)
    assert places
    assert all((ROOT / "docs" / each).exists() for each in places)
    sections = {
        re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-")
        for each in re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([\w-]+)\)", TEXT)) <= sections


def test_the_assumptions_name_each_check_of_verify_once() -> None:
    _, _, section = TEXT.partition("\n## Assumptions about AWS\n")
    named = re.findall(r"`facet verify` \(([^)]+)\)", section)
    assert sorted(re.findall(r"`([^`]+)`", " ".join(named))) == sorted(CHECKS)


def test_every_assumption_about_aws_has_a_proof() -> None:
    _, _, section = TEXT.partition("\n## Assumptions about AWS\n")
    _, *rows = re.findall(r"^\| (.+) \| (.+) \|$", section, re.MULTILINE)
    assert rows
    assert len({assumption for assumption, _ in rows}) == len(rows)
    for assumption, proof in rows:
        kind, _, evidence = proof.partition(": ")
        assert EVIDENCE[kind].search(evidence), assumption
