"""The last check: everything that the run made is deleted again."""

from botocore.exceptions import BotoCoreError, ClientError

from cli.delete import delete_model
from cli.verify.check import Different, NotTried, check
from cli.verify.session import PREFIX, Session
from facet.errors import FacetError, UnknownModel
from facet.keys import (
    ENDPOINT_PREFIX,
    GOLDEN_PREFIX,
    HEADS_PREFIX,
    LITE_PREFIX,
    REJECTED_PREFIX,
)


class NotOwn(Exception):
    """A bug of a check: the run would delete something that it did not make."""


@check("clean-up", "The delete function removes the models that verify made, with their objects.")
def clean_up(session: Session) -> str:
    models = dict.fromkeys(session.made)
    failed = [f"{each}: {why}" for each in models if (why := _deleted(session, each))]
    s3 = session.client("s3")
    keys = [*session.keys, *(key for each in session.prefixes for key in _keys(session, each))]
    for key in keys:
        s3.delete_object(Bucket=session.stack.bucket, Key=key)
    left = [
        key
        for model in models
        for prefix in (ENDPOINT_PREFIX, GOLDEN_PREFIX, HEADS_PREFIX, LITE_PREFIX, REJECTED_PREFIX)
        for key in _keys(session, f"{prefix}{model}")
    ]
    if failed or left:
        raise Different(
            f"{'; '.join(failed) or 'the function did not fail'}; left in the bucket: "
            f"{', '.join(left) or 'nothing'}. `facet delete --match '{PREFIX}{session.run}*'` "
            "tries again"
        )
    if not models:
        raise NotTried("no model was made")
    return f"models deleted: {len(models)}, other objects: {len(keys)}"


def _deleted(session: Session, model: str) -> str:
    """Delete a model of this run; return why that failed, or nothing."""
    if not model.startswith(PREFIX + session.run):
        raise NotOwn(f"verify deletes nothing but its own models, and {model} is none")
    try:
        delete_model(session.stack, model)
    except UnknownModel:
        return ""
    except (FacetError, BotoCoreError, ClientError) as error:
        return " ".join(str(error).split())
    return ""


def _keys(session: Session, prefix: str) -> list[str]:
    """The keys of this run below a prefix, which names the run."""
    if session.run not in prefix:
        raise NotOwn(f"verify deletes nothing but its own objects, and {prefix} is none")
    pages = (
        session.client("s3")
        .get_paginator("list_objects_v2")
        .paginate(Bucket=session.stack.bucket, Prefix=prefix)
    )
    return [each["Key"] for page in pages for each in page.get("Contents", [])]


CHECKS = (clean_up,)
