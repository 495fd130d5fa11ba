"""The log of the function that runs LiteRT models."""

import json
import os
import subprocess
import sys

PROGRAM = """
import logging
import boto3
from botocore.stub import Stubber
from infer.log import logger

logger()
logging.getLogger("infer.process.runner").debug("of the function")
logging.getLogger("serving.memory").debug("of the container")
s3 = boto3.client("s3", region_name="eu-central-1")
with Stubber(s3) as stub:
    stub.add_response("list_buckets", {})
    s3.list_buckets()
logging.getLogger("botocore.auth").debug("with secrets")
logging.getLogger("botocore.auth").warning("a warning")
"""


def test_at_debug_only_the_functions_own_loggers_write_debug_lines() -> None:
    """Those of botocore have the session token and the signature of each request."""
    environment = {
        **os.environ,
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "a-session-token",
    }
    written = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in written.stdout.splitlines()]
    assert [(line["level"], line["message"]) for line in lines] == [
        ("DEBUG", "of the function"),
        ("DEBUG", "of the container"),
        ("WARNING", "a warning"),
    ]
    assert "a-session-token" not in written.stdout + written.stderr
