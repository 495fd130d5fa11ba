"""A running local stack that most journeys share, and clients for it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from local.aws import client
from tests.stacks import Running, start


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The stack that most journeys share."""
    running = start(tmp_path_factory.mktemp("stack"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def api(stack: Running) -> Iterator[httpx.Client]:
    """An HTTP client with the API key."""
    with httpx.Client(
        base_url=stack.address.url, headers={"x-api-key": stack.address.api_key}, timeout=60
    ) as http:
        yield http


@pytest.fixture(scope="session")
def s3(stack: Running) -> Iterator[Any]:
    """An ordinary boto3 client."""
    opened = client("s3", stack.address.endpoint_url)
    yield opened
    opened.close()
