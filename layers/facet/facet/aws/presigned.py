"""Presigned forms: how a client of S3 signs them."""

import os

from botocore.config import Config


def config() -> Config:
    """Presigned forms for `BUCKET.s3.REGION.…`, or for paths below an endpoint of one's own.

    By default botocore's `generate_presigned_post` names the global host s3.amazonaws.com
    (`_should_use_global_endpoint` in botocore/signers.py). It answers 400 for buckets in regions
    launched since 2019, and 307 for a new bucket of any other region but us-east-1:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
    """
    own = any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))
    return Config(
        signature_version="s3v4",
        s3={
            "addressing_style": "path" if own else "virtual",
            "us_east_1_regional_endpoint": "regional",
        },
    )
