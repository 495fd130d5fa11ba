"""One AWS account on 127.0.0.1: moto in server mode, whose state outlives the process."""

import json
import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import MappingProxyType
from typing import Any, Final

import boto3
from botocore.config import Config
from werkzeug.exceptions import ClientDisconnected
from werkzeug.wrappers import Response

from facet.stack import Address
from local.moto import (
    REGION,
    access,
    cloudformation,
    event_buses,
    failures,
    lambda_functions,
    server,
)
from local.moto.access import Credentials
from local.moto.durable import Durable
from local.moto.lambda_functions import Call, Submit
from local.moto.s3 import batches, objects
from local.moto.training import step_functions, training_jobs
from local.moto.training.past_executions import PastExecutions
from local.moto.training.step_functions import Ended
from local.storage.objects import Damaged
from local.storage.state import State
from local.training.jobs import Service

LOG = logging.getLogger(__name__)

CHECKSUMS: Final = "when_required"
"""moto copies an object that was uploaded in parts with the checksum of its parts; S3 computes a
new one. botocore would reject the copy."""

EVENTS_PATH: Final = "/_facet/events"
"""A path that lists the events on the account's buses as JSON, the oldest first."""

EVENTS_KEPT: Final = 1000

NONE: Mapping[str, str] = MappingProxyType({})


def client(service: str, address: Address) -> Any:
    """A boto3 client of the account of a running stack."""
    credentials = Credentials(address.access_key_id, address.secret_access_key)
    return _client(service, address.endpoint_url, credentials)


def _client(service: str, url: str, credentials: Credentials) -> Any:
    session: Any = boto3.Session(*credentials, region_name=REGION)
    config = Config(response_checksum_validation=CHECKSUMS)
    if service == "s3":  # presigned URLs have version 2 otherwise, which S3 no longer takes
        config = config.merge(Config(signature_version="s3v4"))
    return session.client(service, endpoint_url=url, config=config)


class Aws:
    """One account in one region on 127.0.0.1.

    Changes to the bucket, tables and queues that `restore` names are on the disk, in `state`,
    before the client gets its response. `credentials` is its only access key. Pages of
    `allowed_origin` may send presigned requests.
    """

    def __init__(self, state: State, port: int = 0, allowed_origin: str = "") -> None:
        self.credentials = Credentials.random()
        self._allowed_origin = allowed_origin
        self._durable = Durable(state)
        self._files = state.files
        self._patches = ExitStack()
        self._patches.enter_context(server.forgetting_models())
        self._patches.enter_context(objects.storing(state.files))
        self._events: deque[dict[str, Any]] = deque(maxlen=EVENTS_KEPT)
        self._clients: dict[str, Any] = {}
        self._moto = server.application()
        self._server = server.Server("127.0.0.1", port, self._answer, server.QuietHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="aws", daemon=True)

    def start(self) -> None:
        """Starts serving."""
        step_functions.reach(self._server.server_port, self.credentials)
        self._thread.start()

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._patches.close()

    @property
    def url(self) -> str:
        """Its clients' AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def environment(self) -> dict[str, str]:
        """Environment variables by which a process reaches this account."""
        return {
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_RESPONSE_CHECKSUM_VALIDATION": CHECKSUMS,
            "AWS_ACCESS_KEY_ID": self.credentials.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.credentials.secret_access_key,
        }

    def client(self, service: str) -> Any:
        """A boto3 client of this account."""
        if service not in self._clients:
            self._clients[service] = _client(service, self.url, self.credentials)
        return self._clients[service]

    def create_stack(
        self, name: str, template: Mapping[str, Any], parameters: Mapping[str, str] = NONE
    ) -> Callable[[Any], Any]:
        """Creates a CloudFormation stack; returns a resolver of its intrinsic functions."""
        values = [{"ParameterKey": key, "ParameterValue": each} for key, each in parameters.items()]
        with cloudformation.executable_state_machines():
            stack = self.client("cloudformation").create_stack(
                StackName=name,
                TemplateBody=json.dumps(template),
                Capabilities=["CAPABILITY_IAM"],
                Parameters=values,
            )
        return cloudformation.resolver(stack["StackId"])

    def configure_bucket(self, name: str, properties: Callable[[str], Any]) -> None:
        """Applies versioning and public access, which moto's CloudFormation ignores in a bucket."""
        s3 = self.client("s3")
        if versioning := properties("VersioningConfiguration"):
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=versioning)
        if access := properties("PublicAccessBlockConfiguration"):
            s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=access)

    def notify(self, bucket: str, configuration: Mapping[str, Any]) -> None:
        """Sends the bucket's events to functions from now on.

        `configuration` is CloudFormation's NotificationConfiguration.
        """
        rules = [
            {"LambdaFunctionArn": each["Function"], "Events": [each["Event"]]} | _filtered(each)
            for each in configuration["LambdaConfigurations"]
        ]
        self.client("s3").put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": rules}
        )

    def restore(self, bucket: str, tables: Mapping[str, str], queues: Mapping[str, str]) -> None:
        """Restores a bucket, tables and queues from `state`, and keeps their changes from now on.

        `tables` and `queues` map physical names to logical ids, by which the state knows them,
        since physical names may differ from one start to the next.
        """
        self._durable.restore(bucket, tables, queues)

    def verify(self, stop: threading.Event) -> int:
        """Reports damaged objects, removes them, and returns their number; `stop` ends it."""
        return self._durable.verify(stop)

    def queue_url(self, name: str) -> str:
        """A queue's URL, for clients on this machine."""
        return str(self.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])

    def invoking_functions(self, call: Call, submit: Submit) -> AbstractContextManager[None]:
        """While entered, API calls and S3 events invoke functions through `call` and `submit`."""
        return lambda_functions.invoking_functions(call, submit)

    @contextmanager
    def listening_to_buses(self, listener: event_buses.Listener) -> Iterator[None]:
        """While entered, `listener` gets each event that is put on an event bus."""

        def listen(event: dict[str, Any]) -> None:
            self._events.append(event)
            listener(event)

        with event_buses.listening(listen):
            yield

    @contextmanager
    def running_training_jobs(
        self, service: Service, ended: Ended, past: PastExecutions
    ) -> Iterator[None]:
        """While entered, `service` runs training jobs, and executions wait for them."""
        with (
            training_jobs.running(service),
            step_functions.following_executions(service, ended, past),
        ):
            yield

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """moto's response, sent when what it changed is on the disk."""
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        # An invocation takes as long as its function, which makes requests of its own.
        invokes = environ["PATH_INFO"].endswith("/invocations")
        reads = environ["REQUEST_METHOD"] in ("GET", "HEAD") or invokes
        started: list[Any] = []
        try:
            body = server.read_body(environ)  # the client may be slow; others need not wait for it
            if denied := access.refusal(
                environ,
                body,
                self.credentials,
                allowed_origin=self._allowed_origin,
                public={EVENTS_PATH},
            ):
                return denied(environ, start_response)
            if environ["PATH_INFO"] == EVENTS_PATH:
                return _json({"events": list(self._events)})(environ, start_response)
            with self._durable.change(target, reads, body):
                answer = self._changed(environ, body, lambda *begun: started.extend(begun))
        except ClientDisconnected as error:
            return error.get_response(environ)(environ, start_response)
        except (OSError, sqlite3.OperationalError, Damaged) as error:
            what = environ["REQUEST_METHOD"], environ["PATH_INFO"], target
            LOG.warning("%s %s %s: %s", *what, error, exc_info=failures.unforeseen(error))
            return failures.response(error, as_json=bool(target))(environ, start_response)
        start_response(*started)
        return answer

    def _changed(self, environ: dict[str, Any], body: bytes, begin: Any) -> Iterable[bytes]:
        if batches.is_batch(environ):
            return batches.put(environ, body, self._files)(environ, begin)
        answer: Iterable[bytes] = self._moto(environ, begin)
        return answer


def _filtered(notification: Mapping[str, Any]) -> dict[str, Any]:
    """The filter, if there is one, as the API takes it."""
    if "Filter" not in notification:
        return {}
    return {"Filter": {"Key": {"FilterRules": notification["Filter"]["S3Key"]["Rules"]}}}


def _json(document: Mapping[str, Any]) -> Response:
    return Response(json.dumps(document, indent=2), mimetype="application/json")
