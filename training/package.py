"""Packs the training code as SageMaker's `sourcedir.tar.gz` and uploads it.

    python -m training.package [--wheels] [--bucket BUCKET | --stack STACK]

The key contains a digest of the content, so that the same code is uploaded once. With --wheels the
packages that a job installs are in it, too: training then needs no package index, which a private
network has not, and installs what was pinned by digest.
"""

import argparse
import contextlib
import hashlib
import io
import subprocess
import sys
import tempfile
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from facet.artifact.packing import pack
from facet.aws.environment import explained, local_endpoint_warning
from facet.keys import training_code_key

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_s3 import S3Client

REPOSITORY = Path(__file__).resolve().parent.parent
DIGEST_LENGTH = 12

WHEELS = "wheels"
"""The folder of wheels in packed code, and of the options by which pip finds nothing else."""

PLATFORMS = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(17, 29)))
"""Platforms of wheels that AWS's image takes, which has glibc 2.34; pip derives no lower ones."""


class NoWheels(Exception):
    """The wheels cannot be downloaded; the message says why."""


def download_wheels(repository: Path = REPOSITORY) -> Path:
    """Downloads the wheels of `training/wheels.txt` for AWS's image, unless they are there.

    Returns their folder below `build/wheels/`. Raises NoWheels.
    """
    pins = repository / "training/wheels.txt"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()[:DIGEST_LENGTH]
    folder = repository / "build/wheels" / digest
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--python-version=3.12", f"--requirement={pins}"]
    command += [f"--platform={each}_x86_64" for each in PLATFORMS]
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        wheels = Path(scratch) / "wheels"
        done = subprocess.run([*command, f"--dest={wheels}"], capture_output=True, text=True)
        if done.returncode:
            raise NoWheels(
                f"The wheels for training jobs cannot be downloaded: {done.stderr.strip()}\n"
                "Check the network, or deploy with WHEELS=no: jobs then need a package index."
            )
        with contextlib.suppress(OSError):  # another process was faster
            wheels.rename(folder)
    return folder


def pack_code(repository: Path = REPOSITORY, wheels: Path | None = None) -> bytes:
    """Packs the training code as `sourcedir.tar.gz`; the same sources give the same bytes.

    At its root are `training/` and `facet/`, with all their subfolders, and `requirements.txt`,
    which installs from the folder `wheels/` beside it if there are any.
    """
    folders = {"training": repository / "training", "facet": repository / "layers/facet/facet"}
    members: list[tuple[str, Path | bytes]] = [
        (f"{name}/{path.relative_to(folder).as_posix()}", path)
        for name, folder in folders.items()
        for path in folder.rglob("*.py")
    ]
    requirements = (repository / "training/requirements.txt").read_bytes()
    if wheels:
        requirements = f"--no-index\n--find-links {WHEELS}\n".encode() + requirements
        members += [(f"{WHEELS}/{path.name}", path) for path in wheels.glob("*.whl")]
    members.append(("requirements.txt", requirements))
    packed = io.BytesIO()
    pack(sorted(members, key=itemgetter(0)), packed)
    return packed.getvalue()


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
    """Uploads the code if there is a bucket, and prints its key. Returns 1 for an error."""
    options = _options()
    if (options.stack or options.bucket) and (warning := local_endpoint_warning()):
        print(f"warning: {warning}", file=sys.stderr)
    try:
        code = pack_code(wheels=download_wheels() if options.wheels else None)
        bucket = options.bucket
        if options.stack:
            bucket = bucket_of(options.stack, boto3.client("cloudformation"))
            if options.required and not bucket:
                print(f"error: stack {options.stack} has no bucket to upload to", file=sys.stderr)
                return 1
        if bucket:
            upload(code, boto3.client("s3"), bucket)
    except (BotoCoreError, ClientError, NoWheels) as error:
        print(f"error: {explained(error)}", file=sys.stderr)
        return 1
    print(code_key(code))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--bucket", help="upload the code to this bucket, unless it has it already")
    target.add_argument("--stack", help="upload to the bucket of this stack, if the stack exists")
    parser.add_argument(
        "--wheels", action="store_true", help="pack the wheels that a training job installs, too"
    )
    parser.add_argument("--required", action="store_true", help="fail if the stack does not exist")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
