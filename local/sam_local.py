"""`make env`: lets the containers of `sam local` reach the stack that runs on this machine.

SAM gives a container only the variables that the template names, and the endpoints of the AWS
clients are not among them. This module writes a template that names them into the folder of
`sam build`, and a file with all values for `--env-vars`.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cli.client.stack import HOME, NoStack, Stack, find
from facet.errors import FacetError
from facet.stack import Address
from local.moto.aws import CHECKSUMS
from local.template import parse

HOST = "host.docker.internal"
BUILT = Path(__file__).resolve().parents[1] / ".aws-sam/build"
TEMPLATE = "local.yaml"
VARIABLES = "env.json"

Variables = Mapping[str, str]


class NotBuilt(FacetError):
    """There is no template of `sam build`."""


def main(arguments: list[str] | None = None) -> int:
    """Writes both files and prints `sam local` commands; returns the exit code."""
    options = _options(arguments)
    try:
        stack = find(None, options.home)
        template, variables = write(stack, options.home, options.built, options.host)
    except (NoStack, NotBuilt) as error:
        print(f"facet: {error}", file=sys.stderr)
        return 1
    # S3's clients put the bucket's name before a host's, but not before an address.
    names = (HOST, f"{stack.bucket}.{HOST}") if options.host == HOST else ()
    hosts = "".join(f" --add-host {name}:host-gateway" for name in names)
    takes = f"-t {template} --env-vars {variables}{hosts}"
    print(f"sam local invoke PredictFunction -e events/predict-raw.json {takes}")
    print(f"sam local start-api {takes}")
    return 0


def write(stack: Stack, home: Path, built: Path, host: str) -> tuple[Path, Path]:
    """Template and environment file for the stack that runs with its state in `home`.

    `built` is the folder that `sam build` wrote, `host` what containers call this machine. Raises
    NotBuilt.
    """
    try:
        document = parse((built / "template.yaml").read_text())
    except FileNotFoundError as error:
        raise NotBuilt(
            f"{built / 'template.yaml'} does not exist: run `make build` first"
        ) from error
    reached = endpoints(Address.read(home), host)
    functions = stack.client("lambda").list_functions()["Functions"]
    values = {
        each["FunctionName"]: {**each["Environment"]["Variables"], **reached} for each in functions
    }
    (built / TEMPLATE).write_text(json.dumps(with_variables(document, reached), indent=2))
    (built / VARIABLES).write_text(json.dumps(values, indent=2) + "\n")
    return built / TEMPLATE, built / VARIABLES


def endpoints(address: Address, host: str) -> dict[str, str]:
    """Environment variables by which AWS clients in containers reach the stack at `host`."""
    urls = {
        "AWS_ENDPOINT_URL": address.endpoint_url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": address.sagemaker_runtime_url,
    }
    return {
        **{name: f"http://{host}:{urlsplit(url).port}" for name, url in urls.items()},
        "AWS_RESPONSE_CHECKSUM_VALIDATION": CHECKSUMS,
        "AWS_ACCESS_KEY_ID": address.access_key_id,
        "AWS_SECRET_ACCESS_KEY": address.secret_access_key,
        "AWS_SESSION_TOKEN": "",
    }


def with_variables(document: Mapping[str, Any], more: Variables) -> dict[str, Any]:
    """A SAM template whose functions have these variables in addition to their own."""
    globals_ = dict(document.get("Globals", {}))
    function = dict(globals_.get("Function", {}))
    environment = dict(function.get("Environment", {}))
    variables = {**environment.get("Variables", {}), **more}
    function["Environment"] = environment | {"Variables": variables}
    return {**document, "Globals": globals_ | {"Function": function}}


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.sam_local", description=__doc__)
    parser.add_argument("--home", type=Path, default=HOME, help="the folder with the stack's state")
    parser.add_argument("--built", type=Path, default=BUILT, help="the folder of `sam build`")
    parser.add_argument("--host", default=HOST, help="the name of this machine in a container")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
