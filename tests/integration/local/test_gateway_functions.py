"""The whole way: HTTP, gateway, worker, and back."""

import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from local import template
from local.gateway.routes import read_api
from local.gateway.server import Gateway
from local.runtime.pool import Function, Runtime
from tests.support.processes.waiting import LONG

HANDLERS = Path(__file__).parents[2] / "handlers"
KEY = {"x-api-key": "secret"}
PREDICT = "/models/cifar/predict"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    function = Function("ProxyFunction", "proxy.handler", HANDLERS, (), {}, 1.5, 128, None)
    logs = tmp_path_factory.mktemp("logs")
    api = read_api(template.load(HANDLERS / "template.yaml").resources)
    with (
        Runtime([function], environment={}, log_dir=logs, scratch_dir=logs / "scratch") as runtime,
        Gateway(api, runtime.invoke, {"secret"}) as gateway,
        httpx.Client(base_url=gateway.url, timeout=LONG) as client,
    ):
        yield client


def test_an_image_reaches_the_function_and_returns(client: httpx.Client) -> None:
    image = bytes(range(256)) * 1200
    response = client.post(PREDICT, content=image, headers=KEY)
    assert response.status_code == 201
    assert response.headers["x-model-version"] == "0123456789ab"
    assert base64.b64decode(response.json()["event"]["body"]) == image


def test_rejects_an_image_over_lambdas_limit(client: httpx.Client) -> None:
    response = client.post(PREDICT, content=b"x" * 5_000_000, headers=KEY)
    assert response.status_code == 413
    assert response.json() == {"message": "Request Too Long"}


def test_a_binary_answer(client: httpx.Client) -> None:
    response = client.get("/health?do=image")
    assert response.headers["content-type"] == "image/png"
    assert response.content == b"\x89PNG\x00\xff"


@pytest.mark.parametrize("case", ["fail", "malformed", "sleep"])
def test_a_failed_function_is_502(client: httpx.Client, case: str) -> None:
    response = client.get(f"/health?do={case}")
    assert response.status_code == 502
    assert response.json() == {"message": "Internal server error"}


def test_answers_200_requests_at_once(client: httpx.Client) -> None:
    def post(n: int) -> str:
        response = client.post(f"/models/model-{n}/predict", content=b"x", headers=KEY)
        assert response.status_code == 201
        return str(json.loads(response.text)["event"]["pathParameters"]["model"])

    with ThreadPoolExecutor(200) as callers:
        assert list(callers.map(post, range(200))) == [f"model-{n}" for n in range(200)]
