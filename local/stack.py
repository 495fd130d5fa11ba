"""The whole stack on this machine, carried out from template.yaml.

moto stands for AWS (local/moto), worker processes for Lambda (local/runtime), a WSGI server for API
Gateway (local/gateway), the container under a process of ours for SageMaker (local/endpoint), and
processes for training jobs (local/training). `Stack._open` starts them in the order in which they
need each other.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from facet.errors import FacetError
from facet.stack import Address
from local import template
from local.endpoint.platform import EndpointConfig, Platform
from local.gateway.routes import STAGE, RestApi, read_api
from local.gateway.server import Gateway, ensure_free
from local.gateway.usage_plan import UsagePlan
from local.moto import REGION, endpoints
from local.moto.aws import EVENTS_PATH, NONE, Aws
from local.moto.training.past_executions import PastExecutions
from local.moto.training.step_functions import Ended
from local.resources import Resources
from local.runtime.invocations import AsyncInvoker, Pending, send_to_dlq
from local.runtime.pool import Invocation, Runtime
from local.schedule import Scheduler, schedules
from local.storage.state import Event, State
from local.training.description import from_item, to_item
from local.training.jobs import LogLine, TrainingJobs
from local.training.store import Store
from training.package import code_key, pack_code, upload

Opened = TypeVar("Opened")

NAME = "facet"
TRAINING_JOBS, EXECUTIONS = "TrainingJobs", "Executions"
"""Owners of items in the state; no resource of the template has these names."""

DISK_BUDGET = 10 << 30
"""Bytes of unpacked models on disk; SageMaker's ml.m5 instances have 30 GB or more."""

MEMORY_BUDGET = 2 << 30
"""Bytes of loaded models in the container."""


class AlreadyRunning(FacetError):
    """Another stack works with the same folder."""

    def __init__(self, home: Path) -> None:
        try:
            address = Address.read(home)
            which = f"a stack runs already at {address.url} (process {address.pid})"
        except (OSError, ValueError):
            which = f"a stack is just starting or stopping in {os.path.relpath(home)}"
        super().__init__(f"{which}. Stop it first, or choose another folder with --home.")


@dataclass(frozen=True)
class Listeners:
    """Callbacks for what happens in a running stack.

    `invoked` gets a function and the outcome of each attempt at an asynchronous invocation,
    `trained` a training job's description and each line of its log, `executed` each execution at
    its end, `put` each event on an event bus, as EventBridge delivers it.
    """

    invoked: Callable[[str, Invocation], object] = lambda *_: None
    trained: LogLine = lambda *_: None
    executed: Ended = lambda _: None
    put: Callable[[dict[str, Any]], object] = lambda _: None


NO_LISTENERS = Listeners()


class Stack:
    """Runs a template's resources until it is closed. Its state stays in `home`.

    `code` is the training code as `training.package` packs it, `parameters` override the defaults
    of the template's. Executions and training jobs that run end with the stack. Entering raises
    AlreadyRunning, PortTaken and UnsupportedTemplate.
    """

    def __init__(
        self,
        source: Path,
        home: Path,
        port: int = 0,
        *,
        code: bytes | None = None,
        parameters: Mapping[str, str] = NONE,
        listeners: Listeners = NO_LISTENERS,
    ) -> None:
        self._source = source
        self._home = home.resolve()
        self._port = port
        self._code = pack_code() if code is None else code
        self._parameters = {
            "TrainingCode": code_key(self._code),
            "DeleteKeys": "*",  # there is one key, and it is this machine's
        } | dict(parameters)
        self._listeners = listeners
        self._opened = ExitStack()
        self.address: Address

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self._opened)
            self._open()
            opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def _open(self) -> None:
        self._lock()
        ensure_free(self._port)
        read = template.load(self._source, self._parameters)
        state = self._closing(State(self._home / "state"), State.close)
        aws = self._closing(
            Aws(state, allowed_origin=self._parameters.get("AllowOrigin", "")), Aws.close
        )
        aws.start()
        read.check(self._parameters)
        resolve = aws.create_stack(NAME, read.for_moto(), self._parameters)
        made = Resources(read, resolve)
        bucket = made.the("AWS::S3::Bucket")
        aws.configure_bucket(made.name(bucket), partial(made.property, bucket))
        queues = {made.queue_name(each): each for each in made.of_type("AWS::SQS::Queue")}
        tables = {made.name(each): each for each in made.of_type("AWS::DynamoDB::Table")}
        aws.restore(made.name(bucket), tables, queues)

        platform = self._platform(made, aws)
        runtime = self._runtime(made, aws, platform)
        invoker = self._invoker(made, aws, state, runtime)
        self._opened.enter_context(
            aws.invoking_functions(
                lambda name, payload: runtime.invoke(made.logical(name), payload),
                lambda name, payload: invoker.submit(made.logical(name), payload),
            )
        )
        self._opened.enter_context(aws.listening_to_buses(self._listeners.put))
        self._run_training_jobs(made, aws, state)
        aws.notify(made.name(bucket), made.property(bucket, "NotificationConfiguration"))
        for event in state.events():
            invoker.resubmit(Pending(event.function, event.payload, event.id))
        self._closing(Scheduler(schedules(made, NAME), invoker.submit), Scheduler.close)
        api_key = state.secret("api-key")
        api = read_api(read.resources, made.property(made.the(STAGE), "StageName"))
        gateway = self._gateway(made, api, runtime, api_key)
        self.address = Address(
            url=gateway.url,
            api_key=api_key,
            region=REGION,
            bucket=made.name(bucket),
            table=next(iter(tables)),
            endpoint=made.output("EndpointName"),
            endpoint_on=bool(made.endpoints()),
            endpoint_url=aws.url,
            sagemaker_runtime_url=platform.url,
            dead_letter_queue_url=aws.queue_url(
                made.output("UndeliveredUploadsUrl").rpartition("/")[2]
            ),
            state_machine_arn=made.output("TrainStateMachineArn"),
            topic_arn=made.output("TrainingTopicArn"),
            onboard_function=made.output("OnboardFunctionName"),
            delete_function=made.output("DeleteFunctionName"),
            events_url=aws.url + EVENTS_PATH,
            access_key_id=aws.credentials.access_key_id,
            secret_access_key=aws.credentials.secret_access_key,
            pid=os.getpid(),
        )
        self._write_address()
        self._verify(aws)

    def _lock(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        file = self._opened.enter_context((self._home / "lock").open("w"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(self._home) from error

    def _write_address(self) -> None:
        path = self.address.write(self._home)
        self._opened.callback(path.unlink, missing_ok=True)

    def _verify(self, aws: Aws) -> None:
        """Looks for damaged objects while the stack serves."""
        stop = threading.Event()
        thread = threading.Thread(target=aws.verify, args=(stop,), name="verify", daemon=True)
        thread.start()
        self._opened.callback(thread.join)
        self._opened.callback(stop.set)

    def _closing(self, opened: Opened, close: Callable[[Opened], object]) -> Opened:
        self._opened.callback(close, opened)
        return opened

    def _platform(self, made: Resources, aws: Aws) -> Platform:
        model = made.property(made.the("AWS::SageMaker::Model"), "PrimaryContainer")
        platform = Platform(
            [
                EndpointConfig(name, model["ModelDataUrl"], model.get("Environment", {}))
                for name in made.endpoints()
            ],
            aws.client("s3"),
            self._home / "endpoint",
            disk_budget=DISK_BUDGET,
            memory_budget=MEMORY_BUDGET,
            log_dir=self._home / "logs",
            exists=endpoints.exists,
        )
        platform.start()
        return self._closing(platform, Platform.close)

    def _runtime(self, made: Resources, aws: Aws, platform: Platform) -> Runtime:
        runtime = Runtime(
            made.functions(),
            environment=aws.environment() | {"AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": platform.url},
            log_dir=self._home / "logs",
            scratch_dir=self._home / "tmp",
        )
        return self._closing(runtime, Runtime.close)

    def _invoker(self, made: Resources, aws: Aws, state: State, runtime: Runtime) -> AsyncInvoker:
        sqs = aws.client("sqs")

        def give_up(function: str, payload: bytes, outcome: Invocation) -> None:
            if config := made.property(function, "DeadLetterConfig"):
                send_to_dlq(sqs, config["TargetArn"], payload, outcome)

        def invoke(name: str, payload: bytes, *, request_id: str | None = None) -> Invocation:
            outcome = runtime.invoke(name, payload, request_id=request_id)
            self._listeners.invoked(name, outcome)
            return outcome

        invoker = AsyncInvoker(
            invoke,
            give_up,
            deliveries=made.deliveries(),
            keep=lambda each: state.keep_event(Event(each.request_id, each.function, each.payload)),
            forget=lambda each: state.forget_event(each.request_id),
        )
        return self._closing(invoker, AsyncInvoker.close)

    def _run_training_jobs(self, made: Resources, aws: Aws, state: State) -> None:
        """Runs training jobs from now on, so that executions can be started."""
        bucket, s3 = made.name(made.the("AWS::S3::Bucket")), aws.client("s3")
        upload(self._code, s3, bucket)
        jobs = TrainingJobs(
            Store(state, bucket, s3),
            self._home,
            known=map(from_item, state.items(TRAINING_JOBS)),
            keep=lambda job: state.keep_item(TRAINING_JOBS, job["TrainingJobName"], to_item(job)),
            listener=self._listeners.trained,
        )
        self._closing(jobs, TrainingJobs.close)
        past = PastExecutions(
            state.items(EXECUTIONS), lambda arn, each: state.keep_item(EXECUTIONS, arn, each)
        )
        self._opened.enter_context(aws.running_training_jobs(jobs, self._listeners.executed, past))

    def _gateway(self, made: Resources, api: RestApi, runtime: Runtime, api_key: str) -> Gateway:
        plan = made.the("AWS::ApiGateway::UsagePlan")
        throttle, quota = made.property(plan, "Throttle"), made.property(plan, "Quota")
        gateway = Gateway(
            api,
            runtime.invoke,
            [api_key],
            self._port,
            plan=UsagePlan(
                rate=float(throttle["RateLimit"]),
                burst=int(throttle["BurstLimit"]),
                quota=int(quota["Limit"]),
                period=quota["Period"],
            ),
        )
        gateway.start()
        return self._closing(gateway, Gateway.close)
