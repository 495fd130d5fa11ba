"""Sessions of `facet verify` on a stack of fakes, for checks that a laptop has nothing for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError

from cli.client.api import Api
from cli.client.stack import Stack
from cli.verify.artifacts import Sample
from cli.verify.session import Session

ACCOUNT, KEY, SECRET = "111122223333", "the-api-key", "the-secret"
SAMPLE = Sample.read()


@dataclass(frozen=True)
class FakeStack(Stack):
    """A stack whose clients are `fakes`, by service."""

    fakes: Mapping[str, Any] = field(default_factory=dict)

    def client(self, service: str, config: Config | None = None) -> Any:
        """The fake; `config` is for real clients."""
        del config
        return self.fakes[service]


class Answers(urllib3.PoolManager):
    """A connection that gives prepared answers in turn, the last one again and again."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__()
        self.answers = [*answers]

    def request(self, *_: Any, **__: Any) -> Any:
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return urllib3.HTTPResponse(body, status=status)


def session(
    fakes: Mapping[str, Any] | None = None,
    pool: urllib3.PoolManager | None = None,
    home: Path | None = None,
    **parameters: str,
) -> Session:
    """A session with fakes; with `home` its stack runs on this machine."""
    stack = FakeStack(
        bucket=f"facet-{ACCOUNT}-eu-central-1",
        table="registry",
        dead_letter_queue_url="",
        onboard_function="onboard",
        session=boto3.Session("key-id", SECRET, region_name="eu-central-1"),
        name="facet in eu-central-1",
        cloudformation="facet",
        endpoint="facet",
        state_machine=f"arn:aws:states:eu-central-1:{ACCOUNT}:stateMachine:train",
        home=home,
        fakes=fakes or {},
    )
    api = Api("https://api.example/v1", KEY, pool=pool or Answers((200, b"{}")))
    return Session(stack, api, SAMPLE, parameters, remark=lambda _: None, patience=0.0)


def refused(code: str, message: str = "no", **more: Any) -> ClientError:
    """An error of AWS."""
    response: Any = {"Error": {"Code": code, "Message": message}, **more}
    return ClientError(response, "Operation")
