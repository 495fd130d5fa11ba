"""An account in a process of its own, which tests kill: `python -m tests.support.aws.process DIR`.

It prints its URL when it has restored the bucket `models`.
"""

import signal
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.moto import REGION
from local.moto.access import Credentials
from local.moto.aws import CHECKSUMS, Aws
from local.storage.state import State

BUCKET = "models"


def unretried(url: str, credentials: Credentials) -> Any:
    """An S3 client that makes one attempt."""
    session: Any = boto3.Session(*credentials, region_name=REGION)
    config = Config(response_checksum_validation=CHECKSUMS, retries={"total_max_attempts": 1})
    return session.client("s3", endpoint_url=url, config=config)


def serve(folder: Path) -> None:
    aws = Aws(State(folder))
    aws.start()
    aws.client("s3").create_bucket(Bucket=BUCKET)
    aws.configure_bucket(BUCKET, {"VersioningConfiguration": {"Status": "Enabled"}}.get)
    aws.restore(BUCKET, {}, {})
    print(aws.url, *aws.credentials, flush=True)  # noqa: T201
    signal.pause()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
