"""Detect environment variables that send an AWS account's requests to this machine.

The local stack is reached with `AWS_ENDPOINT_URL`. In a shell where it is still set, commands for a
deployed stack would ask the local one, and report that the stack is missing or not Facet's.
"""

import os
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from botocore.exceptions import NoCredentialsError, NoRegionError

ALL_SERVICES = "AWS_ENDPOINT_URL"
ONE_SERVICE = f"{ALL_SERVICES}_"
IGNORED = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
"""Set to `true`, AWS's clients read none of the others.
Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
"""


def local_endpoints(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The AWS_ENDPOINT_URL variables that point to this machine, by name, with their values."""
    if environment.get(IGNORED, "").lower() == "true":
        return {}
    return {
        name: value
        for name, value in sorted(environment.items())
        if (name == ALL_SERVICES or name.startswith(ONE_SERVICE)) and _is_local(value)
    }


def explained(error: Exception) -> str:
    """The error's text, with what to do where botocore only says what is missing."""
    if isinstance(error, NoRegionError):
        return f"{error} Set AWS_REGION, or a region in your AWS profile."
    if isinstance(error, NoCredentialsError):
        return f"{error}. Set AWS_PROFILE, or log in (`aws sso login`)."
    return str(error)


def local_endpoint_warning(environment: Mapping[str, str] = os.environ) -> str:
    """A sentence that names each such variable, its value and the remedy; empty without any."""
    endpoints = local_endpoints(environment)
    if not endpoints:
        return ""
    values = " and ".join(f"{name}={value}" for name, value in endpoints.items())
    sends = "sends" if len(endpoints) == 1 else "send"
    remedy = f"run `unset {' '.join(endpoints)}`"
    return f"{values} {sends} requests to this machine instead of AWS; {remedy}"


def _is_local(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
