"""CloudFormation: stacks from the template, and the values of its intrinsic functions.

- AWS gives an endpoint the name in the template; moto makes one up.
- AWS leaves out resources whose condition is false; moto lists them as None and fails on them.
- AWS makes state machines that can be executed; moto's CloudFormation makes some that cannot.

Contract: tests/integration/local/test_aws.py and test_step_functions.py.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from moto.cloudformation.models import Stack, cloudformation_backends
from moto.cloudformation.parsing import clean_json
from moto.sagemaker.models import FakeEndpoint
from moto.stepfunctions import models as stepfunctions
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from local.moto import ACCOUNT, REGION


def patch() -> None:
    """Names endpoints as the template does and leaves out resources that are not made."""
    FakeEndpoint.cloudformation_name_type = lambda: "EndpointName"  # type: ignore[method-assign]
    Stack.stack_resources = property(_made)  # type: ignore[assignment, method-assign]


def executable_state_machines() -> AbstractContextManager[object]:
    """While it is entered, CloudFormation makes state machines that can be executed."""
    return mock.patch.object(stepfunctions, "stepfunctions_backends", stepfunctions_parser_backends)


def resolver(stack_id: str) -> Callable[[Any], Any]:
    """A function that resolves the intrinsic functions of a stack's template."""
    stack = cloudformation_backends[ACCOUNT][REGION].get_stack(stack_id)
    return lambda value: clean_json(value, stack.resource_map)


def _made(stack: Stack) -> list[Any]:
    return [each for each in stack.resource_map.values() if each is not None]
