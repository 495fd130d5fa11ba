"""What else callers of the API meet: origins, refusals, keys of the bucket, rejected uploads."""

import json
import uuid

from cli.verify import artifacts
from cli.verify.check import Different, check
from cli.verify.session import Session
from facet.keys import INBOX_PREFIX, REJECTED_PREFIX
from facet.registry.models import Status

ALLOW = "Access-Control-Allow-Origin"


@check("preflight", "A preflight needs no key, and names the origin in AllowOrigin, if any.")
def preflight(session: Session) -> str:
    origin = session.parameters.get("AllowOrigin", "")
    asked = {"Origin": origin or "https://example.com", "Access-Control-Request-Method": "POST"}
    path = f"/models/{session.model}/predict"
    reply = session.send("OPTIONS", path, headers=asked, key=False)
    allowed = reply.headers.get(ALLOW, "")
    if reply.status != 204 or allowed != origin:
        raise Different(f"{reply.status} for the origin '{allowed}'; AllowOrigin is '{origin}'")
    return f"204 for the origin '{allowed}'"


@check("refusal-origin", "API Gateway's own errors may be read by pages of every origin.")
def refusal_origin(session: Session) -> str:
    asked = {"Origin": session.parameters.get("AllowOrigin") or "https://example.com"}
    seen = []
    for what, path in (("no key", "/models"), ("no route", "/facet-verify/no/such/path")):
        reply = session.send("GET", path, headers=asked, key=False)
        allowed = reply.headers.get(ALLOW, "")
        if (reply.status, allowed) != (403, "*"):
            raise Different(f"{what}: {reply}, for the origin '{allowed}', not '*'")
        seen.append(f"{what}: {reply}")
    return "; ".join(seen)


@check("missing-key", "A key of the inbox that does not exist is unknown-upload, not an error.")
def missing_key(session: Session) -> str:
    session.ready()
    key = f"{INBOX_PREFIX}{uuid.uuid4()}"
    reply = session.predict(json.dumps({"s3": key}).encode(), "application/json")
    if (reply.status, reply.problem) != (404, "unknown-upload"):
        raise Different(str(reply))
    return f"404 {reply.problem}"


@check("rejection", "A bad artifact is REJECTED, and its report is in the bucket.")
def rejection(session: Session) -> str:
    model = session.name("bad")
    version = session.onboard(model, artifacts.bad(model))
    codes = [each.code for each in version.violations]
    if version.status is not Status.REJECTED or "no-manifest" not in codes:
        raise Different(f"{version.status} with the violations {codes}")
    key = f"{REJECTED_PREFIX}{model}/{version.id}.json"
    found = session.client("s3").get_object(Bucket=session.stack.bucket, Key=key)
    reported = [each["code"] for each in json.loads(found["Body"].read())["violations"]]
    if reported != codes:
        raise Different(f"the report has the violations {reported}, the registry {codes}")
    return f"REJECTED with {', '.join(codes)}, and so says its report"


@check("golden-mismatch", "A model that does not give its golden answer is REJECTED.")
def golden_mismatch(session: Session) -> str:
    model, golden = session.name("wrong"), session.sample.golden
    other = next(each for each in session.sample.manifest.labels if each != golden.label)
    version = session.onboard(model, session.sample.described(model, golden_label=other))
    codes = [each.code for each in version.violations]
    if version.status is not Status.REJECTED or codes != ["golden-label"]:
        raise Different(f"{version.status} with the violations {codes}")
    return f"REJECTED with golden-label: {version.violations[0].problem}"


CHECKS = (preflight, refusal_origin, missing_key, rejection, golden_mismatch)
