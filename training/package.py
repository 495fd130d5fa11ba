"""The training code as SageMaker takes it: packed, and uploaded under a name made of its content.

python -m training.package [--bucket BUCKET | --stack STACK]
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

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

REPOSITORY = Path(__file__).resolve().parent.parent
DIGEST_LENGTH = 12


def pack_code(repository: Path = REPOSITORY) -> bytes:
    """The training code as `sourcedir.tar.gz`; the same sources give the same bytes.

    It has `training/`, `facet/` and `requirements.txt` at its root.
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
    """A tar.gz without times, owners and modes, so that equal content makes equal bytes."""
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
    """Where packed code lies in the bucket."""
    digest = hashlib.sha256(code).hexdigest()[:DIGEST_LENGTH]
    return f"code/{digest}/sourcedir.tar.gz"


def upload(code: bytes, s3: "S3Client", bucket: str) -> bool:
    """Puts packed code at its key; False if it is there already."""
    key = code_key(code)
    if s3.list_objects_v2(Bucket=bucket, Prefix=key).get("KeyCount"):
        return False
    s3.put_object(Bucket=bucket, Key=key, Body=code)
    return True


def bucket_of(stack: str, cloudformation: "CloudFormationClient") -> str | None:
    """The bucket of a deployed stack; None where it does not exist yet."""
    try:
        (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return None
        raise
    outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
    return outputs.get("BucketName")


def main() -> int:
    """Prints the key; the code is in the bucket by then, if there is one. 1 for an AWS error."""
    given = _options()
    code = pack_code()
    try:
        bucket = given.bucket
        if given.stack:
            bucket = bucket_of(given.stack, boto3.client("cloudformation"))
            if given.required and not bucket:
                print(f"error: stack {given.stack} has no bucket to upload to", file=sys.stderr)
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
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--bucket", help="upload the code to this bucket unless it is there")
    place.add_argument("--stack", help="the same, to this stack's bucket if the stack exists")
    parser.add_argument(
        "--required", action="store_true", help="fail where the stack does not exist"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
