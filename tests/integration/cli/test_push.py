"""`facet push`, `watch`, `status` on a deployed stack whose onboarding runs beside them."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import boto3
import pytest
from botocore.exceptions import ClientError

from facet.registry.store import Registry
from onboard.uploads import Upload
from tests.support import deployed
from tests.support.aws import fakes
from tests.support.aws.fakes import BUCKET
from tests.support.deployed import facet
from tests.support.inputs import artifacts
from tests.support.onboarding import Account, identity
from tests.support.versions import make_live, pending, rejected

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client

GOOD = artifacts.artifact(model="cifar")
BAD = artifacts.packed({"facet.json": b"{}"})


@pytest.fixture
def account(s3: "S3Client", table: "Table") -> Account:
    deployed.deploy("http://127.0.0.1:9/v1", table.name)
    return Account(s3, table)


@pytest.fixture
def packed(tmp_path: Path) -> Callable[[bytes], str]:
    """Writes an artifact; its path."""

    def write(data: bytes) -> str:
        path = tmp_path / "model.tar.gz"
        path.write_bytes(data)
        return str(path)

    return write


@contextmanager
def onboarded(account: Account, model: str = "cifar") -> Iterator[None]:
    """Takes the next upload of the model's as soon as it is there, as its event would.

    What onboarding logs meanwhile may stand among the command's output.
    """
    over = threading.Event()

    def take() -> None:
        while not over.wait(0.05):
            try:
                found = account.s3.head_object(Bucket=BUCKET, Key=f"mme/{model}.tar.gz")
            except ClientError:
                continue
            account.process(Upload(model, found["VersionId"], "1"))
            return

    thread = threading.Thread(target=take)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_push_uploads_and_waits_until_it_is_live(
    account: Account, packed: Callable[[bytes], str]
) -> None:
    with onboarded(account):
        done = facet("push", packed(GOOD))
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith(
        f"cifar {identity(GOOD)}: READY (proof: smoke on the endpoint), and live\n"
    )
    account.assert_live(GOOD)


def test_uploads_a_ready_version_again_whose_artifact_is_lost(
    account: Account, packed: Callable[[bytes], str]
) -> None:
    account.onboard(GOOD)
    account.s3.delete_object(Bucket=BUCKET, Key=f"mme/cifar/{identity(GOOD)}.tar.gz")
    with onboarded(account):
        done = facet("push", packed(GOOD))
    assert done.exit_code == 0, done.output
    account.assert_live(GOOD)
    assert account.content(f"mme/cifar/{identity(GOOD)}.tar.gz") == GOOD


def test_does_not_upload_a_ready_version_again(
    account: Account, packed: Callable[[bytes], str]
) -> None:
    account.onboard(GOOD)
    done = facet("push", packed(GOOD), "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert (document["version"], document["unchanged"]) == (identity(GOOD), True)
    assert "mme/cifar.tar.gz" not in account.stored()
    assert "UNCHANGED, already READY" in facet("push", packed(GOOD)).stdout


def test_does_not_upload_what_onboarding_would_reject(
    account: Account, packed: Callable[[bytes], str]
) -> None:
    failed = facet("push", packed(BAD), "--model", "cifar")
    assert failed.exit_code == 1
    assert "not uploaded, onboarding would reject it" in failed.stdout
    assert "facet.json.labels: " in failed.stdout
    assert account.stored() == set()
    document = json.loads(facet("push", packed(BAD), "--model", "cifar", "--json").stdout)
    assert "manifest-field" in {each["code"] for each in document["violations"]}


def test_no_check_leaves_the_check_to_onboarding(
    account: Account, packed: Callable[[bytes], str]
) -> None:
    with onboarded(account):
        failed = facet("push", packed(BAD), "--model", "cifar", "--no-check")
    assert failed.exit_code == 1
    assert f"cifar {identity(BAD)}: REJECTED\n" in failed.stdout
    assert "  facet.json.labels: Field required [manifest-field]\n    → see docs/" in failed.stdout
    assert "manifest-field" in account.assert_rejected(BAD)


def test_a_rejected_artifact_is_judged_again(
    account: Account, packed: Callable[[bytes], str]
) -> None:
    account.runtime.error = fakes.refusal(
        "ModelError", OriginalStatusCode=500, OriginalMessage='{"error": "no"}'
    )
    assert account.onboard(GOOD) == "REJECTED"
    account.runtime.error = None
    with onboarded(account):
        done = facet("push", packed(GOOD))
    assert done.exit_code == 0, done.output
    account.assert_live(GOOD)


def test_no_wait_only_uploads(account: Account, packed: Callable[[bytes], str]) -> None:
    done = facet("push", packed(GOOD), "--no-wait")
    assert done.exit_code == 0, done.output
    assert f"facet watch cifar {identity(GOOD)}" in done.stdout
    assert account.content("mme/cifar.tar.gz") == GOOD


@pytest.mark.parametrize(
    ("data", "arguments", "expected"),
    [
        (
            artifacts.artifact(),
            [],
            "--model NAME is missing. Neither the manifest nor model.tar.gz",
        ),
        (GOOD, ["--model", "No Name"], "--model No Name: use a-z"),
    ],
)
@pytest.mark.usefixtures("account")
def test_push_needs_a_model_name(
    packed: Callable[[bytes], str], data: bytes, arguments: list[str], expected: str
) -> None:
    failed = facet("push", packed(data), *arguments)
    assert failed.exit_code == 2
    assert expected in failed.stderr


@pytest.mark.usefixtures("account")
def test_a_file_name_that_is_no_model_name_is_named(tmp_path: Path) -> None:
    path = tmp_path / "S01-loop.tar.gz"
    path.write_bytes(artifacts.artifact())
    failed = facet("push", str(path))
    assert failed.exit_code == 2
    assert "'S01-loop' cannot be one: a model's name has 1 to 63 lower-case" in failed.stderr


@pytest.mark.usefixtures("account")
def test_rejects_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    assert "No such file" in facet("push", str(tmp_path / "none")).stderr
    assert "make an artifact of it with `facet pack" in facet("push", str(tmp_path)).stderr


def test_push_checks_the_stack_s_own_rules(
    s3: "S3Client",  # noqa: ARG001
    table: "Table",
    packed: Callable[[bytes], str],
) -> None:
    deployed.deploy("http://127.0.0.1:9/v1", table.name, GoldenRequired="true", MoreOps="Foo")
    failed = facet("push", packed(GOOD))
    assert failed.exit_code == 1
    assert "[golden-required]" in failed.stdout


def test_watch_prints_the_result(account: Account) -> None:
    account.onboard(GOOD)
    version = identity(GOOD)
    done = facet("watch", "cifar")
    assert (done.exit_code, done.stdout) == (
        0,
        f"cifar {version}: READY (proof: smoke on the endpoint), and live\n",
    )
    Registry(account.table).reject(rejected(9))
    failed = facet("watch", "cifar", f"{9:012x}")
    assert failed.exit_code == 1
    assert "REJECTED\n  facet.json: there is none [no-manifest]\n    → add one" in failed.stdout


def test_watch_reports_the_newest_upload_though_its_bytes_were_ready_before(
    account: Account,
) -> None:
    account.onboard(GOOD)
    assert account.onboard(BAD) == "REJECTED"
    assert facet("watch", "cifar").exit_code == 1
    assert account.onboard(GOOD) == "UNCHANGED"
    done = facet("watch", "cifar")
    assert (done.exit_code, identity(GOOD) in done.stdout) == (0, True)


def misnamed(account: Account, key: str) -> None:
    """An upload under a key that no model can have, and its event."""
    account.s3.put_object(Bucket=BUCKET, Key=key, Body=GOOD)
    event = {"eventName": "ObjectCreated:Put", "eventTime": "2026-01-01T12:00:00Z"}
    (outcome,) = account.send({"Records": [event | {"s3": {"object": {"key": quote_plus(key)}}}]})
    assert outcome.outcome == "REJECTED"


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("mme/MyModel.tar.gz", ["MyModel"]),
        ("mme/model (1).tar.gz", ["model (1)"]),
        ("mme/sub/cats.tar.gz", ["sub/cats"]),
        ("mme/cats.tgz", ["cats.tgz", "cats"]),
        ("mme/cats.TAR.GZ", ["cats.TAR.GZ", "cats"]),
    ],
)
def test_watch_and_status_show_uploads_that_were_rejected_for_their_name(
    account: Account, key: str, names: list[str]
) -> None:
    misnamed(account, key)
    for name in names:
        failed = facet("watch", name)
        assert failed.exit_code == 1
        assert f"{names[0]} {identity(GOOD)}: REJECTED" in failed.stdout
        assert "1 to 63 lower-case letters" in failed.stdout
    shown = " ".join(facet("status").stdout.split())
    assert f"misnamed 1 uploads rejected for their name in 7 days: {names[0]};" in shown


def test_watch_waits_for_a_misnamed_upload_too(account: Account) -> None:
    account.s3.put_object(Bucket=BUCKET, Key="mme/cats.tgz", Body=GOOD)
    assert "no result after 0 s" in facet("watch", "cats.tgz", "--timeout", "0").stderr


def test_watch_stops_at_its_timeout(account: Account) -> None:
    account.put(GOOD)
    failed = facet("watch", "cifar", "--timeout", "0")
    assert failed.exit_code == 1
    assert "no result after 0 s: the upload is being checked" in failed.stderr


@pytest.mark.usefixtures("account")
def test_watch_of_an_unknown_model_or_version() -> None:
    for name in ("nothing", "a/b", "[/x]"):
        assert f"There is no model '{name}'" in facet("watch", name).stderr
    assert "has no version" in facet("watch", "nothing", "0" * 12).stderr


@pytest.mark.usefixtures("functions")
def test_status_of_a_healthy_stack(s3: "S3Client", table: "Table") -> None:
    with deployed.gateway() as gateway:
        deployed.deploy(gateway.url, table.name)
        make_live(table, pending(1))
        Registry(table).begin(pending(2, "new"))
        s3.put_object(Bucket=BUCKET, Key="mme/other.tar.gz", Body=b"")
        done = facet("status", "--json")
        shown = facet("status").stdout
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "stack": "facet-test in eu-central-1",
        "url": gateway.url,
        "page": f"{gateway.url}/",
        "bucket": BUCKET,
        "api": "ok",
        "endpoint": "InService",
        "models": {"live": 1, "canary": 0, "none_live": 1},
        "being_checked": 1,
        "being_proven": 1,
        "misnamed": [],
        "given_up": 0,
        "healthy": True,
    }
    assert "1 live, 1 without a live version" in shown


def test_status_shows_the_rest_if_one_entry_fails(account: Account) -> None:
    boto3.client("sagemaker").delete_endpoint(EndpointName="endpoint")
    (url,) = boto3.client("sqs").list_queues()["QueueUrls"]
    boto3.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    account.onboard(GOOD)
    done = facet("status")
    assert done.exit_code == 1
    text = " ".join(done.stdout.split())
    assert "api unknown: http://127.0.0.1:9/v1 cannot be reached" in text
    assert "endpoint unknown: An error occurred" in text
    assert "models 1 live" in text
    assert "given up 1 in the dead-letter queue; `facet redrive` retries them" in text
