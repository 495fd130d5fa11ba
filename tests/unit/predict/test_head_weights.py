"""functions/predict/bucket/head_weights.py: what is read from the bucket, and what is kept."""

import hashlib
import io
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from facet.errors import ModelFailed
from facet.heads.errors import HeadUnavailable
from facet.heads.weights import Head
from facet.keys import head_key
from facet.manifest import HeadManifest
from facet.registry.models import Version
from predict.bucket.head_weights import OF_A_HEAD, HeadWeights
from tests.support import versions
from tests.support.inputs import heads

MANIFEST = HeadManifest.model_validate(heads.manifest())
SIZE = heads.head().nbytes + OF_A_HEAD


def head(number: int) -> Version:
    return replace(versions.ready(number, "cats"), manifest=MANIFEST)


def client_error(code: str, status: int) -> ClientError:
    metadata = {"HTTPStatusCode": status}
    response = {"Error": {"Code": code}, "ResponseMetadata": metadata}
    return ClientError(cast("Any", response), "GetObject")


@dataclass
class S3:
    """A bucket with ten heads, each of its own seed; `reads` lists the keys that were asked for."""

    error: Exception | None = None
    content: bytes | None = None
    reads: list[str] = field(default_factory=list)

    def get_object(self, **request: str) -> dict[str, Any]:
        self.reads.append(request["Key"])
        if self.error:
            raise self.error
        number = next(each for each in range(10) if request["Key"] == key(each))
        content = self.content or heads.head(seed=number).to_bytes()
        return {"Body": io.BytesIO(content)}


def key(number: int) -> str:
    return head_key("cats", head(number).id)


@pytest.fixture
def s3() -> S3:
    return S3()


def weights(s3: S3, capacity: int = 3 * SIZE) -> HeadWeights:
    return HeadWeights(cast("Any", s3), "models", capacity)


def read(kept: HeadWeights, number: int) -> Head:
    found = kept.read(head(number), MANIFEST)
    assert found.to_bytes() == heads.head(seed=number).to_bytes()
    return found


def test_a_head_is_read_once(s3: S3) -> None:
    kept = weights(s3)
    assert read(kept, 1) is read(kept, 1)
    assert s3.reads == [key(1)]


def test_those_not_used_for_longest_are_removed_first(s3: S3) -> None:
    kept = weights(s3)
    for number in (1, 2, 3, 1, 4, 1, 3, 4, 2):
        read(kept, number)
    assert s3.reads == [key(number) for number in (1, 2, 3, 4, 2)]


def test_a_head_that_does_not_fit_is_answered_and_not_kept(s3: S3) -> None:
    kept = weights(s3, SIZE - 1)
    assert read(kept, 1) is not read(kept, 1)
    assert len(s3.reads) == 2


@pytest.mark.parametrize(
    ("error", "missing"),
    [
        (client_error("NoSuchKey", 404), True),
        (client_error("SlowDown", 503), False),
        (EndpointConnectionError(endpoint_url="https://nowhere"), False),
    ],
)
def test_what_cannot_be_read_is_named(s3: S3, error: Exception, missing: bool) -> None:
    s3.error = error
    kept = weights(s3)
    with pytest.raises(HeadUnavailable, match=f"version {head(1).id} of 'cats'") as raised:
        kept.read(head(1), MANIFEST)
    assert raised.value.missing is missing
    s3.error = None
    read(kept, 1)


def test_a_lack_of_permission_is_no_outage(s3: S3) -> None:
    s3.error = client_error("KMS.DisabledException", 400)
    with pytest.raises(ClientError):
        weights(s3).read(head(1), MANIFEST)


def test_other_bytes_than_those_that_were_validated_are_not_used(s3: S3) -> None:
    kept, content = weights(s3), heads.head(seed=1).to_bytes()
    version = replace(head(1), head_sha256=hashlib.sha256(content).hexdigest())
    for changed in (b"damaged", heads.head(seed=2).to_bytes(), content[:-1]):
        s3.content = changed
        with pytest.raises(HeadUnavailable, match="not those that were validated") as raised:
            kept.read(version, MANIFEST)
        assert not raised.value.missing
    s3.content = content
    assert kept.read(version, MANIFEST).to_bytes() == content


def test_a_damaged_file_is_the_heads_failure(s3: S3) -> None:
    s3.content = b"damaged"
    with pytest.raises(ModelFailed) as raised:
        weights(s3).read(head(1), MANIFEST)
    assert "its weights cannot be read" in raised.value.reason
