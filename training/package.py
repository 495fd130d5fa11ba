"""Packs the training code as SageMaker's `sourcedir.tar.gz` and uploads it.

    python -m training.package [--bucket BUCKET | --stack STACK]

The key contains a digest of the content, so that the same code is uploaded once.
"""

import argparse
import hashlib
import io
import sys
import tarfile
from collections.abc import Iterable
from gzip import GzipFile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from facet.aws_environment import local_endpoint_warning
from facet.keys import training_code_key

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

REPOSITORY = Path(__file__).resolve().parent.parent
DIGEST_LENGTH = 12


def pack_code(repository: Path = REPOSITORY) -> bytes:
    """Packs the training code as `sourcedir.tar.gz`; the same sources give the same bytes.

    At its root are `training/` and `facet/`, with all their subfolders, and `requirements.txt`.
    """
    folders = {"training": repository / "training", "facet": repository / "layers/facet/facet"}
    members = [
        (f"{name}/{path.relative_to(folder).as_posix()}", path)
        for name, folder in folders.items()
        for path in folder.rglob("*.py")
    ]
    members.append(("requirements.txt", repository / "training/requirements.txt"))
    packed = io.BytesIO()
    pack(sorted(members), packed)
    return packed.getvalue()


def pack(members: Iterable[tuple[str, Path]], file: BinaryIO) -> None:
    """Writes a tar.gz without times and owners, so that equal content makes equal bytes."""
    with (
        GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, path in members:
            member = tarfile.TarInfo(name)
            member.size, member.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                tar.addfile(member, content)


def code_key(code: bytes) -> str:
    """The key of packed code in the bucket."""
    digest = hashlib.sha256(code).hexdigest()[:DIGEST_LENGTH]
    return training_code_key(digest)


def upload(code: bytes, s3: "S3Client", bucket: str) -> bool:
    """Uploads packed code to its key. Returns False if it is there already."""
    key = code_key(code)
    if s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
        return False
    s3.put_object(Bucket=bucket, Key=key, Body=code)
    return True


def bucket_of(stack: str, cloudformation: "CloudFormationClient") -> str | None:
    """The bucket of a deployed stack; None if the stack does not exist yet."""
    try:
        (stack_description,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    outputs = {
        output["OutputKey"]: output["OutputValue"]
        for output in stack_description.get("Outputs", [])
    }
    return outputs.get("BucketName")


def main() -> int:
    """Uploads the code if there is a bucket, and prints its key. Returns 1 for an AWS error."""
    options = _options()
    code = pack_code()
    if (options.stack or options.bucket) and (warning := local_endpoint_warning()):
        print(f"warning: {warning}", file=sys.stderr)
    try:
        bucket = options.bucket
        if options.stack:
            bucket = bucket_of(options.stack, boto3.client("cloudformation"))
            if options.required and not bucket:
                print(f"error: stack {options.stack} has no bucket to upload to", file=sys.stderr)
                return 1
        if bucket:
            upload(code, boto3.client("s3"), bucket)
    except (BotoCoreError, ClientError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(code_key(code))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--bucket", help="upload the code to this bucket, unless it has it already")
    target.add_argument("--stack", help="upload to the bucket of this stack, if the stack exists")
    parser.add_argument("--required", action="store_true", help="fail if the stack does not exist")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
