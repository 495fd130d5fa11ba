"""The IAM actions that code needs for its boto3 calls, and those that policies allow."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

ACTIONS = {
    "describe_stacks": {"cloudformation:DescribeStacks"},
    "update_stack": {"cloudformation:UpdateStack"},
    "copy_object": {"s3:GetObject", "s3:PutObject"},
    "delete_object": {"s3:DeleteObject"},
    "delete_objects": {"s3:DeleteObjectVersion"},
    "get_object": {"s3:GetObject", "s3:ListBucket"},
    "get_object_tagging": {"s3:GetObjectTagging"},
    "head_object": {"s3:GetObject", "s3:ListBucket"},
    "list_object_versions": {"s3:ListBucketVersions"},
    "list_objects_v2": {"s3:ListBucket"},
    "put_object": {"s3:PutObject"},
    "put_object_tagging": {"s3:PutObjectTagging"},
    "generate_presigned_post": {"s3:PutObject"},
    "delete_item": {"dynamodb:DeleteItem"},
    "get_item": {"dynamodb:GetItem"},
    "put_item": {"dynamodb:PutItem"},
    "query": {"dynamodb:Query"},
    "update_item": {"dynamodb:UpdateItem"},
    "invoke": {"lambda:InvokeFunction"},
    "invoke_endpoint": {"sagemaker:InvokeEndpoint"},
    "publish": {"sns:Publish"},
    "put_events": {"events:PutEvents"},
}
"""By boto3's method, from the Service Authorization Reference and each operation's own page:
without s3:ListBucket, S3 answers 403 instead of 404 for a missing object."""

SERVICES = ("cloudformation", "dynamodb", "events", "lambda", "s3", "sagemaker-runtime", "sns")
"""The services that the functions create clients for."""

LOG_DELIVERY = {
    f"logs:{action}"
    for action in (
        "CreateLogDelivery",
        "GetLogDelivery",
        "UpdateLogDelivery",
        "DeleteLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "DescribeResourcePolicies",
        "DescribeLogGroups",
    )
}
"""The actions that a state machine needs for logging: Step Functions developer guide, Logging."""

OF_VERSIONS = {
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
}
"""The action that a call with a `VersionId` needs instead."""

READS = {"s3:GetObject"}
"""Reading needs both actions if the call names a version only sometimes."""

IN_TRANSACTIONS = {
    "ConditionCheck": "dynamodb:ConditionCheckItem",
    "Delete": "dynamodb:DeleteItem",
    "Put": "dynamodb:PutItem",
    "Update": "dynamodb:UpdateItem",
}


def required(code: Iterable[ast.AST]) -> set[str]:
    """The actions that the boto3 calls in the code need."""
    nodes = [node for each in code for node in ast.walk(each)]
    found = {action for node in nodes for action in _of_call(node)}
    if any(_method(node) == "transact_write_items" for node in nodes):
        keys = {key for node in nodes if isinstance(node, ast.Dict) for key in _names(node.keys)}
        found |= {IN_TRANSACTIONS[key] for key in keys & IN_TRANSACTIONS.keys()}
    return found


def allowed(statements: Iterable[Mapping[str, Any]]) -> set[str]:
    """The actions of all Allow statements, including those behind conditions."""
    return {action for each in statements for action in _allowed(each)}


def _allowed(statement: Mapping[str, Any]) -> Iterator[str]:
    if "Fn::If" in statement:
        for branch in statement["Fn::If"][1:]:
            yield from _allowed(branch)
    elif statement.get("Effect") == "Allow":
        actions = statement["Action"]
        yield from [actions] if isinstance(actions, str) else actions


def _of_call(node: ast.AST) -> set[str]:
    method = _method(node)
    if method == "get_paginator":
        assert isinstance(node, ast.Call)
        (method,) = _names(node.args)
    actions = ACTIONS.get(method or "", set())
    if not isinstance(node, ast.Call):
        return actions
    if method == "copy_object":
        names = {
            name
            for each in ast.walk(node)
            if isinstance(each, ast.Dict)
            for name in _names(each.keys)
        }
        return actions | ({"s3:GetObjectVersion"} if "VersionId" in names else set())
    keywords = {each.arg for each in node.keywords}
    if not keywords & {"VersionId", None}:
        return actions
    at_times = READS if None in keywords else set()
    return {OF_VERSIONS.get(each, each) for each in actions} | actions & at_times


def _method(node: ast.AST) -> str | None:
    """The name of the called method."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr
    return None


def _names(nodes: Iterable[ast.AST | None]) -> set[str]:
    return {
        each.value
        for each in nodes
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    }
