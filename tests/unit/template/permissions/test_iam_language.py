"""The evaluator of IAM's language that tests/support has for the template's policies."""

from typing import Any

import pytest

from tests.support.template.iam.language import Request, met, refusal

ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "Bucket.Arn/a/*"}
DENY = {"Sid": "Never", "Effect": "Deny", "Action": "s3:*", "Resource": "*/secret"}


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (Request("s3:GetObject", "Bucket.Arn/a/1"), None),
        (Request("S3:getobject", "Bucket.Arn/a/1"), None),
        (Request("s3:GetObject", "Bucket.Arn/a/b/c"), None),
        (Request("s3:GetObject", "bucket.arn/a/1"), "nothing allows it"),
        (Request("s3:GetObject", "Bucket.Arn/b"), "nothing allows it"),
        (Request("s3:PutObject", "Bucket.Arn/a/1"), "nothing allows it"),
        (Request("s3:GetObject", "Bucket.Arn/a/secret"), "Never denies it"),
    ],
)
def test_a_deny_wins_and_what_nothing_allows_is_refused(
    request_: Request, reason: str | None
) -> None:
    assert refusal(request_, [ALLOW, DENY]) == reason


def test_lists_wildcards_and_their_negations() -> None:
    statement = {"Effect": "Allow", "NotAction": ["s3:Get*"], "NotResource": "*/[a]?"}
    assert refusal(Request("s3:PutObject", "Bucket.Arn/a1"), [statement]) is None
    assert refusal(Request("s3:PutObject", "Bucket.Arn/[a]1"), [statement]) is not None
    assert refusal(Request("s3:GetObject", "Bucket.Arn/a1"), [statement]) is not None


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"StringEquals": {"k": "one"}}, True),
        ({"StringEquals": {"K": ["two", "one"]}}, True),
        ({"StringEquals": {"k": "On*"}}, False),
        ({"StringLike": {"k": "on*"}}, True),
        ({"StringEquals": {"absent": "one"}}, False),
        ({"StringNotEquals": {"k": ["one", "two"]}}, False),
        ({"StringNotEquals": {"absent": "one"}}, True),
        ({"StringEqualsIfExists": {"absent": "one"}}, True),
        ({"StringNotEqualsIfExists": {"k": "one"}}, False),
        ({"ArnNotEquals": {"k": ["one", "two"]}}, False),
        ({"ArnLike": {"k": "o?e"}}, True),
        ({"Bool": {"tls": "true"}}, True),
        ({"Null": {"k": "false", "absent": "true"}}, True),
        ({"Null": {"k": "true"}}, False),
        ({"ForAllValues:StringEquals": {"many": ["a", "b", "c"]}}, True),
        ({"ForAllValues:StringEquals": {"many": ["a"]}}, False),
        ({"ForAllValues:StringEquals": {"absent": ["a"]}}, True),
        ({"ForAnyValue:StringEquals": {"many": ["b"]}}, True),
        ({"ForAnyValue:StringEquals": {"absent": ["b"]}}, False),
        ({"StringEquals": {"k": "one"}, "Bool": {"tls": "false"}}, False),
    ],
)
def test_conditions_hold_as_the_iam_user_guide_says(condition: dict[str, Any], holds: bool) -> None:
    context = {"k": ["one"], "tls": ["true"], "many": ["a", "b"]}
    assert met(condition, context) is holds


def test_an_operator_that_is_not_known_is_no_silent_yes() -> None:
    with pytest.raises(KeyError, match="IpAddress"):
        met({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, {"aws:SourceIp": ["10.0.0.1"]})


def test_a_statement_for_one_principal_says_nothing_about_others() -> None:
    statement = ALLOW | {"Principal": {"Service": "events.amazonaws.com"}}
    assert refusal(Request("s3:GetObject", "Bucket.Arn/a/1"), [statement]) == "nothing allows it"
