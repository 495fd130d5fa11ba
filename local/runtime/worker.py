"""One worker: a process that runs a Lambda function, one invocation at a time."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from local.moto import ACCOUNT
from local.runtime import faults
from local.runtime.api import (
    RESPONSE_LIMIT,
    Answered,
    Event,
    Exited,
    InitFailed,
    Ready,
    RuntimeApi,
)
from local.runtime.log import FunctionLog, Output

INIT_SECONDS = 60.0
"""Lambda allows 10 s; the first import on a laptop may read from a cold disk."""

_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE")


@dataclass(frozen=True)
class Function:
    """A Lambda function to run from its sources.

    `code` is the worker's working directory and first on its import path; the folders of `layers`
    follow. `timeout` is in seconds. `memory` (MB) is reported, not enforced. `concurrency` is the
    maximum number of workers.
    """

    name: str
    handler: str
    code: Path
    layers: tuple[Path, ...]
    environment: Mapping[str, str]
    timeout: float
    memory: int
    concurrency: int | None


@dataclass(frozen=True)
class Invocation:
    """The outcome of an invocation: a result or, with `error` ("Unhandled"), an error document.

    `log_tail` is the last 4 kB of its log.
    """

    payload: bytes
    error: str | None
    request_id: str
    log_tail: bytes

    @property
    def reason(self) -> str:
        """Type and message of the error document, in one line."""
        document = json.loads(self.payload)
        return f"{document.get('errorType', self.error)}: {document.get('errorMessage', '')}"


class Worker:
    """Starts its process; the first `invoke` waits for the handler's import. One at a time.

    Its TMPDIR is a folder in `scratch_dir` that is deleted when it ends.
    """

    def __init__(
        self,
        function: Function,
        shared: Mapping[str, str],
        log: FunctionLog,
        fingerprint: int,
        scratch_dir: Path,
    ) -> None:
        self._function = function
        self._fingerprint = fingerprint
        self._region = shared.get("AWS_REGION", shared.get("AWS_DEFAULT_REGION", "us-east-1"))
        self._api = RuntimeApi()
        self._scratch = tempfile.mkdtemp(prefix=f"{function.name}-", dir=scratch_dir)
        self._started = time.monotonic()
        self._ready = False
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("bootstrap.py")), function.handler],
            cwd=function.code,
            env=_environment(function, shared, self._region, self._api.address)
            | {"TMPDIR": self._scratch},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._output = Output(self._process.stdout, log)
        self._watch = threading.Thread(target=self._report_exit, name="worker-exit", daemon=True)
        self._watch.start()

    def usable(self, fingerprint: int) -> bool:
        """Whether it may take another invocation of sources with this fingerprint."""
        return self._process.poll() is None and self._fingerprint == fingerprint

    def invoke(self, request_id: str, payload: bytes) -> Invocation:
        # A file does not know when a line was written, as CloudWatch does.
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._output.begin(f"START RequestId: {request_id} Version: $LATEST\tTime: {now}")
        init = None if self._ready else self._started
        failure = None if self._ready else self._initialise(request_id)
        begun = time.monotonic()
        answer = failure or self._run(request_id, payload)
        ended = time.monotonic()
        tail = self._output.end(
            f"END RequestId: {request_id}",
            self._report(request_id, ended - begun, None if init is None else begun - init),
        )
        return Invocation(answer.payload, "Unhandled" if answer.failed else None, request_id, tail)

    def stop(self) -> None:
        """Kills the process and its children. May be called again and from any thread."""
        if self._process.poll() is None:
            self._kill_group()
        self._watch.join()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._output.close()
        self._api.stop()

    def _initialise(self, request_id: str) -> Answered | None:
        match self._api.wait(INIT_SECONDS):
            case Ready():
                self._ready = True
                return None
            case InitFailed(payload):
                self.stop()
                return Answered(payload, failed=True)
            case Exited(code):
                return self._exited(request_id, code)
            case _:
                return self._time_out(request_id, INIT_SECONDS)

    def _run(self, request_id: str, payload: bytes) -> Answered:
        timeout = self._function.timeout
        arn = f"arn:aws:lambda:{self._region}:{ACCOUNT}:function:{self._function.name}"
        self._api.send(Event(request_id, payload, time.time() + timeout, arn, _trace_id()))
        match self._api.wait(timeout):
            case Answered(answer) if len(answer) > RESPONSE_LIMIT:
                self.stop()
                return faults.oversized(len(answer))
            case Answered() as answered:
                return answered
            case Exited(code):
                return self._exited(request_id, code)
            case _:
                return self._time_out(request_id, timeout)

    def _time_out(self, request_id: str, seconds: float) -> Answered:
        self.stop()
        message = f"Task timed out after {seconds:.2f} seconds"
        self._output.write(f"{request_id} {message}")
        return faults.fault("Sandbox.Timedout", f"RequestId: {request_id} Error: {message}")

    def _exited(self, request_id: str, code: int) -> Answered:
        message = faults.exited(request_id, code)
        self._output.write(message)
        return faults.fault("Runtime.ExitError", message)

    def _report(self, request_id: str, seconds: float, init: float | None) -> str:
        fields = [
            f"REPORT RequestId: {request_id}",
            f"Duration: {seconds * 1000:.2f} ms",
            f"Memory Size: {self._function.memory} MB",
        ]
        if init is not None:
            fields.append(f"Init Duration: {init * 1000:.2f} ms")
        return "\t".join(fields)

    def _report_exit(self) -> None:
        code = self._process.wait()
        self._kill_group()
        self._api.reports.put(Exited(code))
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _kill_group(self) -> None:
        # The group may be gone with its leader; macOS reports that as "not permitted".
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def _environment(
    function: Function, shared: Mapping[str, str], region: str, runtime_api: str
) -> dict[str, str]:
    """The worker's environment; Lambda's reserved variables override the template's.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
    """
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        **shared,
        **function.environment,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory),
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": time.strftime("%Y/%m/%d/[$LATEST]") + secrets.token_hex(16),
        "AWS_LAMBDA_RUNTIME_API": runtime_api,
        "LAMBDA_TASK_ROOT": str(function.code),
        "PYTHONPATH": os.pathsep.join(map(str, (function.code, *function.layers))),
        "TZ": ":UTC",
        "_HANDLER": function.handler,
    }


def _trace_id() -> str:
    root = f"1-{int(time.time()):08x}-{secrets.token_hex(12)}"
    return f"Root={root};Parent={secrets.token_hex(8)};Sampled=0"
