"""A local platform with one endpoint, and its client."""

import base64
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.endpoint.platform import EndpointConfig, Platform
from tests.support.processes.waiting import LONG, wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "facet-test"
ENDPOINT = "facet-endpoint"


def body(side: int, brightness: int = 0) -> str:
    """A request with one image."""
    image = base64.b64encode(bytes([brightness]) * side * side * 3).decode()
    return json.dumps({"instances": [{"image": {"b64": image}}]})


BODY, BRIGHT, LARGE = body(8), body(8, brightness=255), body(64)


class Stack:
    """A platform with one endpoint and a client. `close` stops it."""

    def __init__(
        self,
        folder: Path,
        s3: "S3Client",
        environment: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        """environment: the container's, beside two workers."""
        budgets = {"disk_budget": 10**9, "memory_budget": 10**9}
        workers = {"FACET_SERVING_WORKERS": "2", **(environment or {})}
        config = EndpointConfig(ENDPOINT, f"s3://{BUCKET}/mme/", workers)
        self.log = folder / "log" / f"{ENDPOINT}.log"
        self.cache = folder / "cache" / ENDPOINT
        self.platform = Platform(
            [config], s3, folder / "cache", log_dir=folder / "log", **{**budgets, **settings}
        )
        self.platform.start()
        self.runtime = boto3.client(
            "sagemaker-runtime",
            endpoint_url=self.platform.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, max_pool_connections=200),
        )

    def invoke(self, target: str | None, body: str | bytes = BODY, **parameters: Any) -> Any:
        if target is not None:
            parameters["TargetModel"] = target
        answer = self.runtime.invoke_endpoint(
            **{
                "EndpointName": ENDPOINT,
                "ContentType": "application/json",
                "Body": body,
                **parameters,
            }
        )
        return {**answer, "Body": json.loads(answer["Body"].read())}

    def refused(self, target: str | None, body: str | bytes = BODY, **parameters: Any) -> Any:
        with pytest.raises(ClientError) as caught:
            self.invoke(target, body, **parameters)
        return caught.value.response

    def metrics(self) -> Any:
        answer = httpx.get(f"{self.platform.url}/metrics", trust_env=False, timeout=LONG)
        return answer.json()[ENDPOINT]

    def loads(self) -> list[str]:
        """The loaded targets, in order, from the log."""
        return re.findall(r"loaded model \w+ \((\S+)\): ", self.log.read_text())

    def container(self) -> int:
        """The id of the container's process, once there is one."""
        found: list[int] = []

        def there() -> bool:
            pid = self.platform.container_pid(ENDPOINT)
            found.extend([] if pid is None else [pid])
            return bool(found)

        wait_until(there)
        return found[0]

    def close(self) -> None:
        pid = self.platform.container_pid(ENDPOINT)
        self.runtime.close()
        self.platform.close()
        assert pid is None or not alive(pid)


StartStack = Callable[..., Stack]
Put = Callable[..., str]


@contextmanager
def stacks(folder: Path, s3: "S3Client") -> Iterator[StartStack]:
    """Starts stacks (settings as keywords) and stops them."""
    started: list[Stack] = []

    def start_one(**settings: Any) -> Stack:
        started.append(Stack(folder, s3, **settings))
        return started[-1]

    try:
        yield start_one
    finally:
        for stack in started:
            stack.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def packed(folder: Path, ending: bytes = b"") -> bytes:
    """The artifact in a folder; `ending` is appended to its tflite, which LiteRT ignores."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for each in sorted(folder.rglob("*")):
            content = each.read_bytes() if each.is_file() else b""
            content += ending if each.suffix == ".tflite" else b""
            member = archive.gettarinfo(each, str(each.relative_to(folder)))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
