"""An account in this process: the template's bucket and registry on moto."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import boto3
import pytest
from moto import mock_aws
from samcli.yamlhelper import yaml_parse

from facet.places.runners import runner
from facet.registry.models import Version
from facet.registry.store import Registry
from facet.settings import settings
from onboard.app import onboarding
from onboard.removal.deletion import deletion
from onboard.sweep.sweeper import sweeper
from predict import clients
from teach import clients as teaching
from teach.start import start
from tests.support.aws import fakes
from tests.support.aws.fakes import BUCKET
from tests.support.template.iam.recorder import Recorder
from tests.support.versions import make_live, pending

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource, Table
    from mypy_boto3_s3 import S3Client

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
REGION: Final = "eu-central-1"
ENVIRONMENT = {
    "FACET_BUCKET": BUCKET,
    "FACET_ENDPOINT": "endpoint",
    "FACET_INVOKE_TIMEOUT": "3",
    "FACET_REGISTRY_TTL": "0",
    "FACET_HEAD_CACHE": "1000000",
    "FACET_TOPIC": "",
    "FACET_GOLDEN_REQUIRED": "false",
    "FACET_MORE_OPS": "",
    "FACET_ANSWER_WITHIN": "10",
    "FACET_KEEP_VERSIONS": "5",
    "FACET_SWEEP_AFTER": "30",
    "FACET_DELETE_AFTER": "60",
    "FACET_ONBOARD_FUNCTION": "onboard",
    "FACET_TEACH_FUNCTION": "teach",
    "FACET_INFER_FUNCTION": "infer",
    "FACET_RUN_IN": "endpoint",
    "FACET_MAX_BODY": "4500000",
    "FACET_MAX_PIXELS": "50000000",
    "FACET_MAX_IMAGES": "32",
    "FACET_MAX_UPLOAD": "1000000",
    "FACET_UPLOAD_EXPIRES": "900",
    "FACET_ALLOW_ORIGIN": "",
    "FACET_DELETE_KEYS": "operators",
    "FACET_WATCHED_MODELS": "cifar",
}
NOT_FOR_TESTS = (
    "DeletionProtectionEnabled",
    "PointInTimeRecoverySpecification",
    "SSESpecification",
)
"""What moto does not take, and what keeps tests from deleting the table."""


RECORDER = Recorder()
RECORDER.attach()  # before anything creates a session


@pytest.fixture(autouse=True)
def calls_are_allowed() -> Iterator[None]:
    """Fails a test in which a function called AWS in a way that its role may not."""
    RECORDER.take()
    yield
    assert RECORDER.take() == []


@pytest.fixture
def data() -> Path:
    """The folder with the real data sets, laid out as samples/README.md says."""
    folder = os.environ.get("FACET_DATA")
    if not folder:
        pytest.skip("FACET_DATA names no folder with the real data sets")
    return Path(folder)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield


@pytest.fixture(scope="session")
def session() -> boto3.Session:
    """Clients are made of it once, as that takes longer than most tests."""
    return boto3.Session("testing", "testing", region_name=REGION)


@pytest.fixture(scope="session")
def s3_client(session: boto3.Session) -> "S3Client":
    return session.client("s3")


@pytest.fixture(scope="session")
def dynamodb(session: boto3.Session) -> "DynamoDBServiceResource":
    return session.resource("dynamodb")


@pytest.fixture(scope="session")
def table_properties() -> dict[str, Any]:
    properties = yaml_parse(TEMPLATE.read_text())["Resources"]["Registry"]["Properties"]
    return {name: value for name, value in properties.items() if name not in NOT_FOR_TESTS}


@pytest.fixture
def s3(aws: None, s3_client: "S3Client") -> "S3Client":  # noqa: ARG001
    """The client, of an account with the template's versioned bucket."""
    s3_client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3_client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    return s3_client


@pytest.fixture
def table(
    aws: None,  # noqa: ARG001
    dynamodb: "DynamoDBServiceResource",
    table_properties: dict[str, Any],
) -> "Table":
    return dynamodb.create_table(TableName="registry", **table_properties)


@pytest.fixture
def registry(table: "Table") -> Registry:
    return Registry(table)


@pytest.fixture(scope="session")
def sagemaker_server() -> Iterator[fakes.SageMaker]:
    with fakes.sagemaker() as server:
        yield server


@pytest.fixture
def sagemaker(sagemaker_server: fakes.SageMaker) -> fakes.SageMaker:
    """The endpoint, answering fakes.SCORES until a test wants something else."""
    sagemaker_server.answer = fakes.Answer()
    sagemaker_server.answers.clear()
    sagemaker_server.asked.clear()
    sagemaker_server.attributes.clear()
    return sagemaker_server


@pytest.fixture
def functions(
    s3: "S3Client",  # noqa: ARG001
    table: "Table",
    sagemaker: fakes.SageMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The environment that the template gives the functions, the same for every test."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FACET_TABLE", table.name)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME", sagemaker.url)
    clients.endpoint_health().answered()


@pytest.fixture
def cold_start(functions: None) -> Iterator[None]:  # noqa: ARG001
    """Processes that read an environment of the test's own, and make their clients anew."""
    made_once = (
        settings,
        clients.table,
        clients.registry,
        clients.predictor,
        clients.publisher,
        clients.s3,
        clients.inbox,
        clients.golden_images,
        runner,
        clients.endpoint_health,
        onboarding,
        deletion,
        sweeper,
        teaching.data_sets,
        teaching.s3,
        start,
        teaching.registry,
        teaching.teachings,
        teaching.table,
    )
    for each in made_once:
        each.cache_clear()
    yield
    for each in made_once:
        each.cache_clear()


@pytest.fixture
def live(table: "Table") -> Version:
    """The live version of `cifar`."""
    return make_live(table, pending(1))
