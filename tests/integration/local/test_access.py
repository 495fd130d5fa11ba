"""Who may call the local AWS account: no page of a browser, and nobody without its key."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.moto import REGION
from local.moto.access import Credentials
from local.moto.aws import EVENTS_PATH, Aws
from local.storage.state import State
from tests.support.aws.moto_account import forget
from tests.support.processes.waiting import LONG

BUCKET = "models"
SITE = "https://site.example"


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    """An account with a bucket, whose AllowOrigin is SITE."""
    state = State(tmp_path)
    account = Aws(state, allowed_origin=SITE)
    account.start()
    account.client("s3").create_bucket(Bucket=BUCKET)
    yield account
    account.close()
    state.close()
    forget("s3")


@pytest.fixture
def http(aws: Aws) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=aws.url, trust_env=False, timeout=LONG) as client:
        yield client


def presigned(aws: Aws, method: str = "get_object", seconds: int = 3600) -> str:
    parameters = {"Bucket": BUCKET, "Key": "a"}
    s3 = aws.client("s3")
    return str(s3.generate_presigned_url(method, Params=parameters, ExpiresIn=seconds))


def test_each_account_has_a_key_of_its_own(aws: Aws) -> None:
    other = Credentials.random()
    assert other.access_key_id != aws.credentials.access_key_id
    assert other.secret_access_key != aws.credentials.secret_access_key


@pytest.mark.parametrize("service", ["s3", "dynamodb"])
def test_other_keys_are_refused(aws: Aws, service: str) -> None:
    session: Any = boto3.Session("local", "local", region_name=REGION)
    client = session.client(service, endpoint_url=aws.url)
    with pytest.raises(ClientError, match=r"InvalidAccessKeyId.*facet env"):
        client.list_buckets() if service == "s3" else client.list_tables()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", f"/{BUCKET}"),
        ("PUT", f"/{BUCKET}/mme/evil.tar.gz"),
        ("POST", "/moto-api/reset"),
        ("POST", "/"),
    ],
)
def test_requests_without_a_key_are_refused(http: httpx.Client, method: str, path: str) -> None:
    assert http.request(method, path, content=b"{}").status_code == 403


@pytest.mark.parametrize(
    "authorization",
    [
        "AWS {key}:x",
        "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/sagemaker/aws4_request, "
        "SignedHeaders=host, Signature=" + "0" * 64,
        "AWS4-HMAC-SHA256 Credential={key}, SignedHeaders=host, Signature=00",
    ],
)
def test_the_id_of_the_key_alone_is_not_enough(
    aws: Aws, http: httpx.Client, authorization: str
) -> None:
    """It is in each form from POST /uploads."""
    headers = {
        "Authorization": authorization.format(key=aws.credentials.access_key_id),
        "X-Amz-Target": "SageMaker.ListTrainingJobs",
        "X-Amz-Date": "20260101T000000Z",
    }
    assert http.post("/", headers=headers, content=b"{}").status_code == 403
    query = f"X-Amz-Credential={aws.credentials.access_key_id}/"
    assert http.get(f"/{BUCKET}?{query}").status_code == 403


@pytest.mark.parametrize("change", ["path", "expiry", "signature"])
def test_a_signed_request_that_was_changed_is_refused(
    aws: Aws, http: httpx.Client, change: str
) -> None:
    url = presigned(aws).removeprefix(aws.url)
    changed = {
        "path": url.replace("/a?", "/b?"),
        "expiry": url.replace("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
        "signature": url[:-4] + "0000",
    }
    assert http.get(url).status_code == 404, "no object"
    assert http.get(changed[change]).status_code == 403


def test_a_presigned_request_expires(aws: Aws, http: httpx.Client) -> None:
    expires = presigned(aws, seconds=1)
    assert http.get(presigned(aws, seconds=60)).status_code == 404
    time.sleep(2)
    assert http.get(expires).status_code == 403


def test_keys_with_special_characters_are_signed_as_they_are(aws: Aws, http: httpx.Client) -> None:
    s3 = aws.client("s3")
    for key in ("a b", "ü/+=&?", "a//b", "~x", "100%"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
        assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()
        url = s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": key})
        assert http.get(url).content == key.encode(), key
    assert len(s3.list_objects_v2(Bucket=BUCKET, Prefix="")["Contents"]) == 5


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_pages_of_other_origins_are_refused(
    aws: Aws, http: httpx.Client, method: str, origin: str
) -> None:
    aws.client("s3").put_object(Bucket=BUCKET, Key="a", Body=b"1")
    assert http.get(presigned(aws)).content == b"1"
    answer = http.request(method, presigned(aws), headers={"Origin": origin})
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_pages_of_the_allowed_origin_may_send_presigned_requests(
    aws: Aws, http: httpx.Client
) -> None:
    url = presigned(aws, "put_object")
    asked = {"Origin": SITE, "Access-Control-Request-Method": "PUT"}
    assert http.options(url, headers=asked).status_code == 200
    assert http.put(url, content=b"1", headers={"Origin": SITE}).status_code == 200
    assert http.put(f"/{BUCKET}/b", content=b"1", headers={"Origin": SITE}).status_code == 403


def test_a_host_name_that_a_site_points_here_is_refused(http: httpx.Client) -> None:
    assert http.get(EVENTS_PATH).json() == {"events": []}
    assert http.get(EVENTS_PATH, headers={"Host": "rebound.example:80"}).status_code == 403


# --- presigned forms --------------------------------------------------------------------------

LIMIT = 1000


def form(aws: Aws, **changes: Any) -> dict[str, str]:
    """The fields of a form for a JPEG of up to LIMIT bytes at `inbox/a`."""
    session: Any = boto3.Session(*aws.credentials, region_name=REGION)
    s3 = session.client("s3", endpoint_url=aws.url, config=Config(signature_version="s3v4"))
    made = s3.generate_presigned_post(
        BUCKET,
        "inbox/a",
        Fields={"Content-Type": "image/jpeg"},
        Conditions=[{"Content-Type": "image/jpeg"}, ["content-length-range", 1, LIMIT]],
    )
    fields: dict[str, str] = made["fields"]
    return fields | changes


def send(http: httpx.Client, fields: dict[str, str], content: bytes = b"x") -> httpx.Response:
    return http.post(f"/{BUCKET}", data=fields, files={"file": ("a.jpg", content)})


def test_a_form_is_accepted_as_it_was_signed(aws: Aws, http: httpx.Client) -> None:
    assert send(http, form(aws), b"x" * LIMIT).status_code == 204
    assert send(http, form(aws, **{"x-ignore-me": "1"})).status_code == 204
    found = aws.client("s3").get_object(Bucket=BUCKET, Key="inbox/a")
    assert (found["Body"].read(), found["ContentType"]) == (b"x", "image/jpeg")


def test_pages_of_every_origin_may_send_presigned_forms(aws: Aws, http: httpx.Client) -> None:
    """The web page does, whose port differs from this one."""
    file, page = {"file": ("a.jpg", b"x")}, {"Origin": "http://127.0.0.1:1"}
    sent = http.post(f"/{BUCKET}", data=form(aws), files=file, headers=page)
    assert sent.status_code == 204
    assert sent.headers["access-control-allow-origin"] in ("*", page["Origin"])
    changed = form(aws, key="mme/evil.tar.gz")
    assert http.post(f"/{BUCKET}", data=changed, files=file, headers=page).status_code == 403


@pytest.mark.parametrize(
    ("changes", "content", "status", "code"),
    [
        ({"key": "mme/evil.tar.gz"}, b"x", 403, "AccessDenied"),
        ({"Content-Type": "text/html"}, b"x", 403, "AccessDenied"),
        ({"acl": "public-read"}, b"x", 403, "AccessDenied"),
        ({"x-amz-signature": "0" * 64}, b"x", 403, "SignatureDoesNotMatch"),
        ({"policy": base64.b64encode(b"{}").decode()}, b"x", 403, "SignatureDoesNotMatch"),
        ({"x-amz-credential": "other/20260101/us-east-1/s3/aws4_request"}, b"x", 403, "Invalid"),
        ({}, b"x" * (LIMIT + 1), 400, "EntityTooLarge"),
        ({}, b"", 400, "EntityTooSmall"),
    ],
)
def test_a_form_that_was_changed_is_refused(
    aws: Aws, http: httpx.Client, changes: dict[str, str], content: bytes, status: int, code: str
) -> None:
    refused = send(http, form(aws, **changes), content)
    assert refused.status_code == status
    assert code in refused.text
    assert "Contents" not in aws.client("s3").list_objects_v2(Bucket=BUCKET)


def test_an_expired_form_is_refused(aws: Aws, http: httpx.Client) -> None:
    fields = form(aws)
    policy = json.loads(base64.b64decode(fields["policy"]))
    policy["expiration"] = (datetime.now(UTC) - timedelta(seconds=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()
    key = f"AWS4{aws.credentials.secret_access_key}".encode()
    for part in (*fields["x-amz-credential"].split("/")[1:], fields["policy"]):
        key = hmac.digest(key, part.encode(), hashlib.sha256)
    refused = send(http, fields | {"x-amz-signature": key.hex()})
    assert refused.status_code == 403
    assert "Policy expired" in refused.text
