"""A stack that most journeys share, and clients for it.

It runs on this machine, for these tests alone. With FACET_STACK in the environment it is the
deployed stack of that name instead: journeys that ask for `api` or `s3` go there, and those that
ask for `stack`, or start stacks of their own, are skipped.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cli.client.stack import find
from local.moto.aws import client
from tests.support import trainer as training
from tests.support.processes.waiting import LONG, wait_until
from tests.support.stacks import DEPLOYED, ONBOARDING_SECONDS, ROOT, Reached, Running, start

CLASSIFIERS = ("cifar", "sign-language")
SAMPLES = ("backbone", *CLASSIFIERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips journeys that need a stack on this machine, if FACET_STACK names a deployed one."""
    reason = pytest.mark.skip(reason="needs a stack on this machine; FACET_STACK is set")
    for item in items if DEPLOYED else ():
        fixtures = set(getattr(item, "fixturenames", ()))
        if "journeys" in item.path.parts and ("stack" in fixtures or not fixtures & {"api", "s3"}):
            item.add_marker(reason)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The stack on this machine that most journeys share."""
    running = start(tmp_path_factory.mktemp("stack"))
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[training.Trainer]:
    """A stack whose training jobs take a second."""
    code, home = (tmp_path_factory.mktemp(name) for name in ("code", "trainer"))
    with training.running(code, home) as opened:
        yield opened


@pytest.fixture(scope="session")
def reached(request: pytest.FixtureRequest) -> Iterator[Reached]:
    """The stack on this machine, or the deployed one, with the samples onboarded."""
    if DEPLOYED:
        found = find(DEPLOYED)
        key = found.client("apigateway").get_api_key(apiKey=found.api_key_id, includeValue=True)
        there = Reached(
            found.api_url, key["value"], found.bucket, found.client("s3"), ("--stack", DEPLOYED)
        )
        onboard_samples(there)
    else:
        running = request.getfixturevalue("stack")
        address = running.address
        s3 = client("s3", address)
        home = ("--home", str(running.home))
        there = Reached(address.url, address.api_key, address.bucket, s3, home)
    yield there
    there.s3.close()


def onboard_samples(there: Reached) -> None:
    """Uploads the samples that the stack does not have, and waits until they are live."""
    with http(there) as api:
        for model in SAMPLES:
            if not live(api, model):
                content = (ROOT / f"samples/{model}.tar.gz").read_bytes()
                there.s3.put_object(Bucket=there.bucket, Key=f"mme/{model}.tar.gz", Body=content)
        wait_until(lambda: all(live(api, model) for model in SAMPLES), ONBOARDING_SECONDS)


def live(api: httpx.Client, model: str) -> bool:
    """Whether the model has a live version."""
    answer = api.get(f"/models/{model}")
    assert answer.status_code in (200, 404), answer.text
    return bool(answer.json().get("live"))


def http(there: Reached) -> httpx.Client:
    """A client with the API key."""
    return httpx.Client(base_url=there.url, headers={"x-api-key": there.api_key}, timeout=LONG)


@pytest.fixture(scope="session")
def api(reached: Reached) -> Iterator[httpx.Client]:
    """An HTTP client with the API key."""
    with http(reached) as opened:
        yield opened


@pytest.fixture(scope="session")
def s3(reached: Reached) -> Any:
    """An ordinary boto3 client."""
    return reached.s3
