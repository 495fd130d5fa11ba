"""Finds the image of Facet's container in the account, or builds it, and prints its URI.

    python -m deployment.image [--runtime tensorflow|litert] [--docker] [--stack facet-images]

Its tag is a digest of its sources (sources.py). If the repository has no such image, the stack of
images.yaml is created or updated, and CodeBuild, or Docker on this machine, builds and pushes one.
The URI names the image by the digest that ECR has for it.
"""

import argparse
import sys
from collections.abc import Callable
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from deployment import stack
from deployment.codebuild import CodeBuild
from deployment.docker import Docker, require_docker
from deployment.progress import ImageError, say
from deployment.registry import digest_of
from deployment.sources import DEFAULT_RUNTIME, REQUIREMENTS, Sources, pack
from facet.aws.environment import explained, local_endpoint_warning


def find_or_build(
    sources: Sources,
    name: str,
    *,
    client: Callable[[str], Any],
    deploy: Callable[[str], None],
    docker: bool = False,
) -> str:
    """Returns the URI of the sources' image, by digest; builds it if the repository lacks it.

    `client` makes the AWS clients, `deploy` creates or updates the stack of this name. Raises
    ImageError, or the clients' errors.
    """
    ecr, cloudformation = client("ecr"), client("cloudformation")
    found = stack.find(name, cloudformation)
    if found and (digest := digest_of(sources.tag, name, ecr)):
        say(f"The image {name}:{sources.tag} is there.")
        return f"{found.repository_uri}@{digest}"
    if docker:
        require_docker()
    deploy(name)
    found = stack.find(name, cloudformation)
    if not found:
        raise ImageError(f"The stack {name} was deployed, but has no outputs.")
    image = f"{found.repository_uri}:{sources.tag}"
    builder: CodeBuild | Docker
    if docker:
        builder = Docker(ecr)
    else:
        builder = CodeBuild(name, found.bucket, client("codebuild"), client("s3"), client("logs"))
    try:
        builder.build(sources, image)
    except ImageError:
        # Somebody else may have pushed it meanwhile; its tag then refuses a second image.
        if not (digest := digest_of(sources.tag, name, ecr)):
            raise
    else:
        digest = digest_of(sources.tag, name, ecr)
    if not digest:
        raise ImageError(f"The build succeeded, but {image} is not in the repository.")
    say(f"Built {image}")
    return f"{found.repository_uri}@{digest}"


def main() -> int:
    """Prints the image's URI. Returns 1 if there is none."""
    options = _options()
    if warning := local_endpoint_warning():
        say(f"warning: {warning}")
    try:
        uri = find_or_build(
            pack(options.runtime),
            options.stack,
            client=_client,
            deploy=stack.deploy,
            docker=options.docker,
        )
    except (BotoCoreError, ClientError, ImageError) as error:
        say(f"error: {explained(error)}")
        return 1
    except KeyboardInterrupt:
        say("Interrupted. A build that CodeBuild has started goes on; run it again to join it.")
        return 130
    print(uri)
    return 0


def _client(service: Any) -> Any:
    return boto3.client(service)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--runtime", choices=REQUIREMENTS, default=DEFAULT_RUNTIME, help="what the image can run"
    )
    parser.add_argument("--docker", action="store_true", help="build on this machine")
    parser.add_argument("--stack", default=stack.NAME, help="stack of deployment/images.yaml")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
