"""AWS_ENDPOINT_URL variables that point to this machine are named."""

import pytest
from botocore.exceptions import NoCredentialsError, NoRegionError

from facet.aws.environment import explained, local_endpoint_warning, local_endpoints


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:4566", True),
        ("http://s3.localhost:4566", True),
        ("http://127.0.0.1:4566", True),
        ("http://127.1.2.3", True),
        ("http://[::1]:4566", True),
        ("http://0.0.0.0:4566", True),
        ("https://vpce-1.s3.eu-central-1.vpce.amazonaws.com", False),
        ("http://10.0.0.7:4566", False),
        ("http://localhost.example.org", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_recognises_urls_of_this_machine(url: str, local: bool) -> None:
    assert bool(local_endpoints({"AWS_ENDPOINT_URL": url})) is local


def test_recognises_the_variables_of_single_services() -> None:
    environment = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1", "ENDPOINT_URL": "http://127.0.0.1"}
    assert local_endpoints(environment) == {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1"}


def test_ignores_variables_that_the_clients_ignore() -> None:
    environment = {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    }
    assert local_endpoints(environment) == {}


def test_the_warning_names_variables_values_and_remedy() -> None:
    assert local_endpoint_warning({}) == ""
    assert local_endpoint_warning({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}) == (
        "AWS_ENDPOINT_URL=http://127.0.0.1:1 sends requests to this machine instead of AWS; "
        "run `unset AWS_ENDPOINT_URL`"
    )
    both = {"AWS_ENDPOINT_URL_S3": "http://[::1]:2", "AWS_ENDPOINT_URL": "http://localhost:1"}
    assert local_endpoint_warning(both) == (
        "AWS_ENDPOINT_URL=http://localhost:1 and AWS_ENDPOINT_URL_S3=http://[::1]:2 send requests "
        "to this machine instead of AWS; run `unset AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3`"
    )


def test_what_is_missing_comes_with_what_to_do() -> None:
    assert "Set AWS_REGION" in explained(NoRegionError())
    assert "log in" in explained(NoCredentialsError())
    assert explained(ValueError("other")) == "other"
