"""Functions in real worker processes, under AWS's runtime client."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.runtime.api import RESPONSE_LIMIT
from local.runtime.pool import (
    REQUEST_LIMIT,
    Function,
    Invocation,
    RequestTooLarge,
    Runtime,
    RuntimeClosed,
    UnknownFunction,
)
from tests.support.processes.waiting import LONG, wait_until

HANDLERS = Path(__file__).parents[2] / "handlers"
ENVIRONMENT = {"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}

PROGRAM = """
import sys
from pathlib import Path
from local.runtime.pool import Function, Runtime

function = Function("subject", "probe.hang", Path(sys.argv[1]), (), {}, 60, 128, None)
logs = Path(sys.argv[2])
runtime = Runtime([function], environment={}, log_dir=logs, scratch_dir=logs / "scratch")
runtime.invoke("subject", b"{}")
"""

Start = Callable[..., Runtime]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    return tmp_path / "logs"


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def start(logs: Path, scratch: Path) -> Iterator[Start]:
    """Starts a runtime with one function, `subject`."""
    runtimes = []

    def start(handler: str, **properties: Any) -> Runtime:
        function = Function(
            name="subject",
            handler=handler,
            code=HANDLERS,
            layers=(),
            environment={},
            timeout=LONG,
            memory=256,
            concurrency=None,
        )
        function = dataclasses.replace(function, **properties)
        runtimes.append(
            Runtime([function], environment=ENVIRONMENT, log_dir=logs, scratch_dir=scratch)
        )
        return runtimes[-1]

    yield start
    for runtime in runtimes:
        runtime.close()


def ask(runtime: Runtime, **event: Any) -> Any:
    invocation = runtime.invoke("subject", json.dumps(event).encode())
    assert invocation.error is None, invocation.payload
    return json.loads(invocation.payload)


def fault(invocation: Invocation) -> tuple[str, str]:
    assert invocation.error == "Unhandled"
    document = json.loads(invocation.payload)
    return document["errorType"], document["errorMessage"]


def test_returns_the_functions_result(start: Start) -> None:
    invocation = start("probe.echo").invoke("subject", b'{"model": "cifar"}')
    assert invocation.error is None
    assert json.loads(invocation.payload) == {
        "event": {"model": "cifar"},
        "request_id": invocation.request_id,
    }


def test_uses_a_given_request_id(start: Start) -> None:
    invocation = start("probe.echo").invoke("subject", b"{}", request_id="again")
    assert invocation.request_id == "again"
    assert json.loads(invocation.payload)["request_id"] == "again"


def test_a_function_has_lambdas_environment(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACET_LEAK", "from the shell")
    monkeypatch.setenv("AWS_PROFILE", "of the developer")
    runtime = start(
        "probe.describe", layers=(tmp_path,), environment={"FACET_BUCKET": "b"}, timeout=20
    )
    seen = ask(runtime)
    environment = seen["environment"]
    assert environment["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    assert {
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "AWS_LAMBDA_FUNCTION_NAME": "subject",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/subject",
        "AWS_REGION": "eu-west-1",
        "FACET_BUCKET": "b",
        "LAMBDA_TASK_ROOT": str(HANDLERS),
        "TZ": ":UTC",
        "_HANDLER": "probe.describe",
    }.items() <= environment.items()
    assert not environment.keys() & {"FACET_LEAK", "AWS_PROFILE"}
    assert seen["arn"] == "arn:aws:lambda:eu-west-1:123456789012:function:subject"
    assert seen["directory"] == str(HANDLERS)
    assert seen["path"][:2] == [str(HANDLERS), str(tmp_path)]
    assert 15_000 < seen["remaining"] <= 20_000


def test_each_workers_temporary_folder_is_deleted_with_it(start: Start, scratch: Path) -> None:
    (scratch / "left-by-a-killed-stack").mkdir(parents=True)
    runtime = start("probe.keep")
    assert list(scratch.iterdir()) == []
    first = Path(ask(runtime, text="x" * 1000))
    (folder,) = scratch.iterdir()
    assert first.parent == folder
    assert first.read_text() == "x" * 1000
    assert fault(runtime.invoke("subject", b"{}"))[0] == "KeyError"
    assert first.exists()

    runtime.invoke("subject", b'{"leave": true}')

    wait_until(lambda: not folder.exists())
    second = Path(ask(runtime, text="y"))
    assert second.parent not in (folder, scratch)
    runtime.close()
    assert list(scratch.iterdir()) == []


def test_a_worker_stays_warm(start: Start) -> None:
    runtime = start("probe.describe")
    assert [ask(runtime)["calls"] for _ in range(3)] == [1, 2, 3]


def test_the_pool_grows_and_reuses_workers(start: Start) -> None:
    runtime = start("probe.sleep", concurrency=3)

    def sleep(_: int) -> int:
        pid = ask(runtime, seconds=0.3)
        assert isinstance(pid, int)
        return pid

    with ThreadPoolExecutor(9) as callers:
        assert len(set(callers.map(sleep, range(9)))) == 3


def test_concurrent_invocations_run_at_the_same_time(start: Start, tmp_path: Path) -> None:
    runtime = start("probe.meet", timeout=LONG)
    with ThreadPoolExecutor(4) as callers:
        list(callers.map(lambda _: ask(runtime, folder=str(tmp_path), number=4), range(4)))


def test_an_exception_is_an_unhandled_error(start: Start, logs: Path) -> None:
    runtime = start("probe.fail")
    invocation = runtime.invoke("subject", b"{}")
    assert fault(invocation) == ("ValueError", "no such image")
    assert b"ValueError: no such image" in invocation.log_tail
    assert 'raise ValueError("no such image")' in (logs / "subject.log").read_text()


def test_a_timeout_ends_the_worker_and_its_children(start: Start, logs: Path) -> None:
    runtime = start("probe.hang", timeout=1.5)
    invocation = runtime.invoke("subject", b"{}")
    assert fault(invocation) == (
        "Sandbox.Timedout",
        f"RequestId: {invocation.request_id} Error: Task timed out after 1.50 seconds",
    )
    wait_until(lambda: not any(map(alive, family(logs))))
    assert fault(runtime.invoke("subject", b"{}"))[0] == "Sandbox.Timedout"


@pytest.mark.parametrize(
    ("handler", "event", "reason"),
    [
        ("probe.leave", b'{"code": 3}', "with error: exit status 3"),
        ("probe.leave", b'{"code": 0}', "without providing a reason"),
        ("probe.die", b"{}", "with error: signal: killed"),
        ("leaves_at_import.handler", b"{}", "with error: exit status 7"),
    ],
)
def test_an_exit_is_a_runtime_exit_error(
    start: Start, logs: Path, handler: str, event: bytes, reason: str
) -> None:
    runtime = start(handler)
    for _ in range(2):
        invocation = runtime.invoke("subject", event)
        assert fault(invocation) == (
            "Runtime.ExitError",
            f"RequestId: {invocation.request_id} Error: Runtime exited {reason}",
        )
        assert f"\n{fault(invocation)[1]}\n" in (logs / "subject.log").read_text()


def test_an_exit_ends_the_children(start: Start, logs: Path) -> None:
    assert fault(start("probe.abandon").invoke("subject", b"{}"))[0] == "Runtime.ExitError"
    assert len(family(logs)) == 2
    wait_until(lambda: not any(map(alive, family(logs))))


def test_an_import_error_is_reported(start: Start) -> None:
    runtime = start("broken.handler")
    for _ in range(2):
        kind, message = fault(runtime.invoke("subject", b"{}"))
        assert kind == "Runtime.ImportModuleError"
        assert message == "Unable to import module 'broken': No module named 'no_such_library'"


def test_a_missing_handler_is_reported(start: Start) -> None:
    kind, _ = fault(start("probe.nothing").invoke("subject", b"{}"))
    assert kind == "Runtime.HandlerNotFound"


def test_replaces_an_idle_worker_that_ended(start: Start, scratch: Path) -> None:
    runtime = start("probe.describe")
    first = ask(runtime)["pid"]
    (folder,) = scratch.iterdir()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: not folder.exists())  # which the runtime deletes when it hears of it
    assert ask(runtime)["pid"] != first


def test_rejects_a_request_over_6_megabytes(start: Start) -> None:
    runtime = start("probe.echo")
    with pytest.raises(RequestTooLarge, match="smaller than 6291456 bytes"):
        runtime.invoke("subject", b" " * (REQUEST_LIMIT + 1))


def test_a_response_over_6_megabytes_is_an_error(start: Start) -> None:
    runtime = start("probe.answer")
    quotes = 2
    fits = runtime.invoke("subject", b'{"length": %d}' % (RESPONSE_LIMIT - quotes))
    assert fits.error is None
    assert len(fits.payload) == RESPONSE_LIMIT
    too_large = runtime.invoke("subject", b'{"length": %d}' % (RESPONSE_LIMIT - quotes + 1))
    assert fault(too_large) == (
        "Function.ResponseSizeTooLarge",
        "Response payload size (6291557 bytes) exceeded maximum allowed payload size"
        " (6291556 bytes).",
    )
    assert ask(runtime, length=1) == "x"


def test_logs_start_output_end_and_report(start: Start, logs: Path) -> None:
    runtime = start("probe.talk")
    invocation = runtime.invoke("subject", json.dumps({"say": "one\ntwo"}).encode())
    runtime.invoke("subject", json.dumps({"say": "three\n"}).encode())

    log = (logs / "subject.log").read_text()
    first, second = log.split("START ")[1:]
    assert invocation.log_tail.decode() == f"START {first}"
    begin, one, two, end, report = first.splitlines()
    begun, _, time = begin.partition("\tTime: ")
    assert datetime.fromisoformat(time).tzinfo == UTC
    assert (begun, one, two, end) == (
        f"RequestId: {invocation.request_id} Version: $LATEST",
        "one",
        "two",
        f"END RequestId: {invocation.request_id}",
    )
    assert report.startswith(f"REPORT RequestId: {invocation.request_id}\tDuration: ")
    assert "Memory Size: 256 MB\tInit Duration: " in report
    assert "three\n" in second
    assert "Init Duration" not in second


def test_a_function_that_never_ran_has_an_empty_log(start: Start, logs: Path) -> None:
    start("probe.talk")
    assert (logs / "subject.log").read_text() == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_costs_the_log_alone(start: Start, logs: Path) -> None:
    """Every prediction failed, though none needs the disk."""
    logs.mkdir()
    (logs / "subject.log").symlink_to("/dev/full")
    runtime = start("probe.talk")
    for _ in range(2):
        outcome = runtime.invoke("subject", json.dumps({"say": "line\n"}).encode())
        assert outcome.error is None
        assert b"\nline\nEND" in outcome.log_tail


def test_the_log_tail_is_four_kilobytes(start: Start) -> None:
    runtime = start("probe.talk")
    tail = runtime.invoke("subject", json.dumps({"say": "x" * 100_000}).encode()).log_tail
    assert len(tail) == 4096
    assert b"\nEND RequestId" in tail


def test_the_log_tail_is_complete(start: Start) -> None:
    runtime = start("probe.talk")
    for n in range(200):
        tail = runtime.invoke("subject", json.dumps({"say": f"line {n}\n"}).encode()).log_tail
        assert f"\nline {n}\nEND" in tail.decode()


def test_edited_code_runs_at_the_next_invocation(start: Start, tmp_path: Path) -> None:
    code = tmp_path / "code"
    layer = tmp_path / "layer"
    code.mkdir()
    layer.mkdir()
    (layer / "answers.py").write_text("ANSWER = 1\n")
    (code / "app.py").write_text(
        "from answers import ANSWER\ndef handler(*_): return [ANSWER, 'old']\n"
    )
    runtime = start("app.handler", code=code, layers=(layer,))
    assert ask(runtime) == [1, "old"]

    (code / "app.py").write_text(
        "from answers import ANSWER\ndef handler(*_): return [ANSWER, 'brand new']\n"
    )
    wait_until(lambda: ask(runtime) == [1, "brand new"])

    (layer / "answers.py").write_text("ANSWER = 'two'\n")
    wait_until(lambda: ask(runtime) == ["two", "brand new"])


def test_an_unknown_function_names_the_known_ones(start: Start) -> None:
    with pytest.raises(
        UnknownFunction, match="function 'predict' does not exist; the stack has subject"
    ):
        start("probe.echo").invoke("predict", b"{}")


def test_close_ends_idle_and_busy_workers(start: Start, logs: Path) -> None:
    runtime = start("probe.sleep")
    with ThreadPoolExecutor(2) as callers:
        idle = callers.submit(ask, runtime, seconds=0).result()
        assert alive(idle)
        busy = callers.submit(runtime.invoke, "subject", b'{"seconds": 600}')
        more = callers.submit(runtime.invoke, "subject", b'{"seconds": 600}')
        wait_until(lambda: (logs / "subject.log").read_text().count("START ") == 3)
        runtime.close()
        assert fault(busy.result(LONG))[0] == "Runtime.ExitError"
        assert fault(more.result(LONG))[0] == "Runtime.ExitError"
    assert not alive(idle)
    with pytest.raises(RuntimeClosed):
        runtime.invoke("subject", b"{}")


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_program(tmp_path: Path, ending: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(HANDLERS), str(tmp_path)], stderr=subprocess.DEVNULL
    ) as program:
        wait_until(lambda: len(family(tmp_path)) == 2)
        worker, child = family(tmp_path)
        assert alive(worker)
        assert alive(child)
        program.send_signal(ending)
    wait_until(lambda: not alive(worker) and not alive(child))


def family(logs: Path) -> list[int]:
    """The ids of a hanging worker and its child, once it has said them."""
    log = logs / "subject.log"
    said = log.read_text().partition("family: ")[2] if log.exists() else ""
    return [int(pid) for pid in said.partition("\n")[0].split()]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat")
        return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
