"""Onboarding in the template's account, which modules with other needs make themselves."""

from typing import TYPE_CHECKING

import pytest

from tests.support.onboarding import Account
from tests.support.processes.killing import House, Watched

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client


@pytest.fixture
def account(s3: "S3Client", table: "Table") -> Account:
    """An account with an endpoint."""
    return Account(s3, table)


@pytest.fixture
def house(s3: "S3Client", table: "Table") -> House:
    """An account that can be killed before each of its writes."""
    watched = Watched()
    return House(Account(s3, table, watched, watched, watched), watched)
