"""What SageMaker's API does and moto does not: it checks requests, and omits absent settings.

Contract: tests/integration/local/test_step_functions.py.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any
from unittest import mock

import botocore.session
from moto.core.responses import ActionResult
from moto.sagemaker.exceptions import ValidationError
from moto.sagemaker.responses import SageMakerResponse

DESCRIPTIONS = ("describe_endpoint", "describe_endpoint_config", "describe_model")


@contextmanager
def omitting_absent_settings() -> Iterator[None]:
    """While entered, descriptions lack settings that nobody gave; moto has them as `{}`.

    The SageMaker SDK parses DataCaptureConfig, VpcConfig and AsyncInferenceConfig and raises
    an error for empty ones.
    """
    with ExitStack() as patches:
        for name in DESCRIPTIONS:
            describe = _without_empty(getattr(SageMakerResponse, name))
            patches.enter_context(mock.patch.object(SageMakerResponse, name, describe))
        yield


def _without_empty(
    describe: Callable[[SageMakerResponse], ActionResult],
) -> Callable[[SageMakerResponse], ActionResult]:
    def described(response: SageMakerResponse) -> ActionResult:
        result: Any = describe(response).result
        return ActionResult({name: value for name, value in result.items() if value != {}})

    return described


def check(operation: str, request: Mapping[str, Any]) -> None:
    """Raises ValidationError if texts of a request break the patterns or lengths in AWS's model.

    botocore checks neither; a name with slashes would become a path here.
    """
    problems = list(_problems(_shape(operation), dict(request), ""))
    if problems:
        plural = "error" if len(problems) == 1 else "errors"
        raise ValidationError(
            f"{len(problems)} validation {plural} detected: {'; '.join(problems)}"
        )


@cache
def _shape(operation: str) -> Any:
    service = botocore.session.Session().get_service_model("sagemaker")
    return service.operation_model(operation).input_shape


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _problems(member, value[name], f"{path}.{name}".lstrip("."))
    elif shape.type_name == "list" and isinstance(value, list):
        for number, each in enumerate(value, 1):
            yield from _problems(shape.member, each, f"{path}.{number}.member")
    elif shape.type_name == "map" and isinstance(value, dict):
        for name, each in value.items():
            yield from _problems(shape.key, name, f"{path}.{name}.key")
            yield from _problems(shape.value, each, f"{path}.{name}")
    elif shape.type_name == "string" and isinstance(value, str):
        yield from _text_problems(shape.metadata, value, path)


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """AWS's pattern; None for one with Java's character classes, as tags have."""
    try:
        return re.compile(pattern)
    except re.error:
        return None


def _text_problems(limits: Mapping[str, Any], value: str, path: str) -> Iterator[str]:
    start = f"Value '{value[:256]}' at '{path}' failed to satisfy constraint: Member must"
    pattern, longest = limits.get("pattern"), limits.get("max")
    if longest and len(value) > longest:
        yield f"{start} have length less than or equal to {longest}"
    elif pattern and (expression := _compiled(pattern)) and not expression.fullmatch(value):
        yield f"{start} satisfy regular expression pattern: {pattern}"
    elif path.endswith(".ChannelName") and value in (".", ".."):
        yield f"{start} name a folder of /opt/ml/input/data"
