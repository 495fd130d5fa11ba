"""`facet status` of a deployed stack (moto's)."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from tests.support import deployed
from tests.support.deployed import Gateway, facet

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


@pytest.fixture
def gateway(functions: None) -> Iterator[Gateway]:  # noqa: ARG001
    with deployed.gateway() as running:
        yield running


def status() -> tuple[int, dict[str, Any]]:
    """The exit code, and the document."""
    done = facet("status", "--json")
    document: dict[str, Any] = json.loads(done.stdout)
    return done.exit_code, document


@pytest.mark.parametrize(("on", "exit_code"), [("true", 1), ("false", 0)])
def test_an_endpoint_that_is_not_there_is_a_failure_unless_it_is_switched_off(
    gateway: Gateway, table: "Table", on: str, exit_code: int
) -> None:
    deployed.deploy(gateway.url, table.name, EndpointOn=on)
    boto3.client("sagemaker").delete_endpoint(EndpointName="endpoint")
    code, document = status()
    assert (code, document["healthy"], document["api"]) == (exit_code, not exit_code, "ok")
    assert document["endpoint"] is None
