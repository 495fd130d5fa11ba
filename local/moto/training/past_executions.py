"""Executions of earlier runs of the stack: Step Functions still describes them, moto forgets them.

An execution that the end of the stack interrupted is described as FAILED.

Contract: tests/integration/local/test_step_functions.py.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from moto.core.responses import ActionResult
from moto.stepfunctions.exceptions import ExecutionDoesNotExist
from moto.stepfunctions.parser.models import StepFunctionsParserBackend
from moto.stepfunctions.responses import StepFunctionResponse

Document = dict[str, Any]
"""The response of DescribeExecution, with times as ISO 8601."""

STACK_ENDED = "The local stack ended while the execution was running; start it again."
TIMES = ("startDate", "stopDate")


class PastExecutions:
    """Keeps a document of each execution with `keep(arn, document)`; `known` are earlier ones."""

    def __init__(
        self, known: Iterable[Document] = (), keep: Callable[[str, Document], object] | None = None
    ) -> None:
        self._keep = keep or (lambda _, __: None)
        self._stack_ends = False
        self._documents: dict[str, Document] = {}
        for each in known:
            document = self._documents[each["executionArn"]] = _interrupted(each)
            if document is not each:
                self._keep(each["executionArn"], document)

    def document(self, arn: str) -> Document | None:
        """The description of an execution of an earlier run."""
        return self._documents.get(arn)

    def started(self, execution: Any) -> None:
        """Keeps that one of moto's executions runs."""
        self._keep(
            execution.exec_arn,
            {
                "executionArn": execution.exec_arn,
                "stateMachineArn": execution.state_machine.arn,
                "name": execution.name,
                "input": json.dumps(execution.input_data),
                "startDate": execution.start_date.isoformat(),
                "status": "RUNNING",
            },
        )

    def stack_ends(self) -> None:
        """Counts executions that end from now on as interrupted."""
        self._stack_ends = True

    def ended(self, execution: Any) -> None:
        """Keeps how one of moto's executions ended."""
        document = {
            "executionArn": execution.exec_arn,
            "stateMachineArn": execution.state_machine.arn,
            "name": execution.name,
            "input": json.dumps(execution.input_data),
            "startDate": execution.start_date.isoformat(),
            "status": "RUNNING" if self._stack_ends else str(execution.status),
            "stopDate": datetime.now(UTC).isoformat(),
        }
        if execution.output is not None:
            document["output"] = json.dumps(execution.output)
        document |= {
            name: text
            for name, text in (("error", execution.error), ("cause", execution.cause))
            if text
        }
        self._keep(execution.exec_arn, document)

    @contextmanager
    def described(self) -> Iterator[None]:
        """While entered, the API describes and lists them, too."""
        with (
            mock.patch.object(StepFunctionResponse, "describe_execution", self._describing()),
            mock.patch.object(StepFunctionResponse, "list_executions", self._listing()),
            mock.patch.object(StepFunctionsParserBackend, "start_execution", self._starting()),
        ):
            yield

    def _starting(self) -> Callable[..., Any]:
        plain = StepFunctionsParserBackend.start_execution

        def start_execution(
            backend: Any, state_machine_arn: str, name: str | None = None, *given: Any, **named: Any
        ) -> Any:
            # AWS generates a name; moto calls the execution None
            name = name or str(uuid.uuid4())
            execution = plain(backend, state_machine_arn, name, *given, **named)
            if execution.status == "RUNNING":
                self.started(execution)
            return execution

        return start_execution

    def _describing(self) -> Callable[[StepFunctionResponse], ActionResult]:
        plain = StepFunctionResponse.describe_execution

        def describe_execution(response: StepFunctionResponse) -> ActionResult:
            try:
                return plain(response)
            except ExecutionDoesNotExist:
                document = self.document(response._get_param("executionArn"))
                if document is None:
                    raise
                return ActionResult(_with_times(document))

        return describe_execution

    def _listing(self) -> Callable[[StepFunctionResponse], ActionResult]:
        plain = StepFunctionResponse.list_executions

        def list_executions(response: StepFunctionResponse) -> ActionResult:
            result: Any = plain(response).result
            machine, status = (
                response._get_param(name) for name in ("stateMachineArn", "statusFilter")
            )
            if result["nextToken"] is None:
                shown = ("executionArn", "stateMachineArn", "name", "status", *TIMES)
                result["executions"] += [
                    {name: value for name, value in _with_times(each).items() if name in shown}
                    for each in reversed(self._documents.values())
                    if each["stateMachineArn"] == machine and status in (None, each["status"])
                ]
            return ActionResult(result)

        return list_executions


def _interrupted(document: Document) -> Document:
    if document["status"] != "RUNNING":
        return document
    end = {"stopDate": document.get("stopDate") or datetime.now(UTC).isoformat()}
    return {**document, **end, "status": "FAILED", "error": "StackEnded", "cause": STACK_ENDED}


def _with_times(document: Document) -> Document:
    times = {name: datetime.fromisoformat(document[name]) for name in TIMES if name in document}
    return document | times
