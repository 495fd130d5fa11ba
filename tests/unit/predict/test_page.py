"""functions/page: the files, their headers, and what the files may refer to."""

import base64
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aws_lambda_powertools.event_handler.openapi.swagger_ui
import pytest
from samcli.yamlhelper import yaml_parse

from page.app import handler
from page.files import STATIC, SWAGGER_UI, names
from predict import clients
from tests.support.aws import fakes

ROOT = Path(__file__).parents[3]
CODE = sorted(path for path in STATIC.rglob("*") if path.suffix in (".js", ".css", ".html"))
SAMPLES = sorted((STATIC / "samples").iterdir())


def get(
    name: str | None = None, *, path: str = "/v1/", resource: str = "/", **headers: str
) -> dict[str, Any]:
    """Returns the response to `GET /page/{name}`, or to the resource, as JSON like Lambda's."""
    event = {
        "resource": "/page/{file+}" if name else resource,
        "headers": {key.replace("_", "-"): value for key, value in headers.items()} or None,
        "pathParameters": {"file": name} if name else None,
        "requestContext": {"path": path, "requestId": "7f1c"},
    }
    answer: dict[str, Any] = json.loads(json.dumps(handler(event, fakes.Context())))  # type: ignore[arg-type]
    return answer


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/", "/"),
        ("/v1/", "/v1/"),
        ("/v1", "/v1/"),
        ("/images/facet", "/images/facet/"),
        ("//", "/"),
        ("//elsewhere.example/", "/elsewhere.example/"),
        ('/"><script>', "/&quot;&gt;&lt;script&gt;/"),
    ],
)
def test_the_base_of_the_page_is_the_requested_path(path: str, base: str) -> None:
    answer = get(path=path)
    assert answer["statusCode"] == 200
    assert answer["headers"]["Content-Type"] == "text/html; charset=utf-8"
    assert re.findall(r"<base [^\n]*", answer["body"]) == [f'<base href="{base}">']


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("/docs", "/docs"),
        ("/v1/docs", "/v1/docs"),
        ("/v1/docs/", "/v1/docs"),
        ("/images/facet/docs", "/images/facet/docs"),
    ],
)
def test_the_base_of_the_api_reference_is_its_own_path(path: str, base: str) -> None:
    """Links to `#/…` are relative to the base, so the base must be the page itself."""
    answer = get(path=path, resource="/docs")
    assert answer["headers"]["Content-Type"] == "text/html; charset=utf-8"
    assert re.findall(r"<base [^\n]*", answer["body"]) == [f'<base href="{base}">']


def test_the_openapi_document_is_served() -> None:
    answer = get(path="/v1/openapi.json", resource="/openapi.json")
    assert answer["headers"]["Content-Type"] == "application/json"
    assert answer["body"].encode() == (STATIC / "openapi.json").read_bytes()


@pytest.mark.parametrize("name", SWAGGER_UI)
def test_swagger_ui_comes_from_the_installed_powertools(name: str) -> None:
    folder = Path(aws_lambda_powertools.event_handler.openapi.swagger_ui.__file__).parent
    assert get(name)["body"].encode() == (folder / name).read_bytes()


@pytest.mark.parametrize("name", SWAGGER_UI)
def test_large_text_is_compressed_for_clients_that_accept_gzip(name: str) -> None:
    plain, small = get(name), get(name, Accept_Encoding="gzip, deflate, br")
    assert small["headers"]["Content-Encoding"] == "gzip"
    assert gzip.decompress(base64.b64decode(small["body"])) == plain["body"].encode()
    assert len(small["body"]) < len(plain["body"]) / 2
    assert small["headers"]["Vary"] == plain["headers"]["Vary"] == "Accept-Encoding"
    assert small["headers"]["ETag"] != plain["headers"]["ETag"]
    again = get(name, If_None_Match=small["headers"]["ETag"], Accept_Encoding="gzip")
    assert (again["statusCode"], again["headers"]["Vary"]) == (304, "Accept-Encoding")


def test_small_text_is_not_compressed() -> None:
    assert "Content-Encoding" not in get("main.js", Accept_Encoding="gzip")["headers"]


@pytest.mark.parametrize("name", SWAGGER_UI)
def test_every_response_fits_lambdas_limit(name: str) -> None:
    assert len(json.dumps(get(name))) < 6_000_000


def test_the_etag_of_the_page_depends_on_its_path() -> None:
    assert get(path="/")["headers"]["ETag"] != get(path="/v1/")["headers"]["ETag"]


@pytest.mark.parametrize("name", sorted(names().difference(SWAGGER_UI)))
def test_each_file_is_served_unchanged_with_its_media_type(name: str) -> None:
    answer = get(name)
    content = answer["body"].encode()
    if answer.get("isBase64Encoded"):
        content = base64.b64decode(content)
    assert content == (STATIC / name).read_bytes()
    types = {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".jpg": "image/jpeg",
        ".png": "image/png",
        ".svg": "image/svg+xml",
    }
    assert answer["headers"]["Content-Type"] == types[Path(name).suffix]
    assert answer["headers"]["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", [None, "main.js", "samples/cat-chelsea.jpg"])
@pytest.mark.parametrize("header", ["If_None_Match", "if_none_match"])
def test_a_file_the_client_has_already_is_not_sent_again(name: str | None, header: str) -> None:
    tag = get(name)["headers"]["ETag"]
    for sent in (tag, f'"other", W/{tag}'):
        again = get(name, **{header: sent})
        assert (again["statusCode"], again["body"]) == (304, "")
        assert again["headers"]["ETag"] == tag
    assert get(name, **{header: '"other"'})["statusCode"] == 200


@pytest.mark.parametrize("name", ["main.js", None])
def test_code_is_revalidated_and_images_are_cached(name: str | None) -> None:
    assert get(name)["headers"]["Cache-Control"] == "no-cache"
    for lasting in ("samples/cat-chelsea.jpg", *SWAGGER_UI):
        assert get(lasting)["headers"]["Cache-Control"] == "max-age=86400"


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "README.md",
        "index.html",
        "docs.html",
        "openapi.json",
        "html.py",
        "teach",
        "teach/",
        "../app.py",
        "..%2Fapp.py",
        "/etc/passwd",
    ],
)
def test_other_files_are_not_served(name: str) -> None:
    answer = get(name)
    problem = json.loads(answer["body"])
    assert (answer["statusCode"], problem["status"]) == (404, 404)
    assert answer["headers"]["Content-Type"] == "application/problem+json"
    assert problem["type"] == "urn:facet:problem:no-route"
    assert problem["request_id"] == "7f1c"
    assert "Reload" in problem["detail"]


def policy_of(answer: dict[str, Any]) -> dict[str, str]:
    directives = answer["headers"]["Content-Security-Policy"].split(";")
    return dict(each.strip().split(" ", 1) for each in directives)


@pytest.mark.parametrize("name", [None, "main.js", "nothing.js"])
def test_the_content_security_policy_allows_only_own_files(name: str | None) -> None:
    policy = policy_of(get(name))
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert {"script-src", "style-src", "connect-src", "base-uri", "frame-ancestors"} <= set(policy)


def test_the_api_reference_may_also_load_data_images() -> None:
    policy = policy_of(get(path="/v1/docs", resource="/docs"))
    assert policy == policy_of(get()) | {"img-src": "'self' data:"}


@pytest.mark.parametrize(
    ("environment", "origin"),
    [
        (
            {"FACET_BUCKET": "facet-1-eu-west-1", "AWS_REGION": "eu-west-1"},
            "https://facet-1-eu-west-1.s3.eu-west-1.amazonaws.com",
        ),
        (
            {"FACET_BUCKET": "facet-1-cn-north-1", "AWS_REGION": "cn-north-1"},
            "https://facet-1-cn-north-1.s3.cn-north-1.amazonaws.com.cn",
        ),
        (
            {"FACET_BUCKET": "facet", "AWS_REGION": "x", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
            "http://127.0.0.1:9",
        ),
    ],
)
def test_the_page_may_send_images_where_presigned_forms_do(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], origin: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "unused")
    monkeypatch.setenv("AWS_DEFAULT_REGION", environment["AWS_REGION"])
    assert policy_of(get())["connect-src"] == f"'self' {origin}"
    assert policy_of(get("main.js"))["connect-src"] == "'self'"
    assert policy_of(get(path="/v1/docs", resource="/docs"))["connect-src"] == "'self'"
    form = clients.s3.__wrapped__().generate_presigned_post(
        environment["FACET_BUCKET"], "datasets/a/train/b/c.jpg"
    )
    assert form["url"].startswith(f"{origin}/")


def test_routes_need_no_key() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    events = template["Resources"]["PageFunction"]["Properties"]["Events"].values()
    routes = {each["Properties"]["Path"]: each["Properties"] for each in events}
    assert set(routes) == {"/", "/docs", "/openapi.json", "/page/{file+}"}
    assert all(route["Auth"] == {"ApiKeyRequired": False} for route in routes.values())


@pytest.mark.parametrize("name", ["page", "page-docs", "page-file", "page-openapi"])
def test_sample_events_are_answered(name: str) -> None:
    event = json.loads((ROOT / "events" / f"{name}.json").read_text())
    assert handler(event, fakes.Context())["statusCode"] == 200  # type: ignore[arg-type]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_no_file_refers_to_another_host_or_to_the_root(path: Path) -> None:
    text = path.read_text()
    assert not re.findall(r"https?:|//\w+\.", text.replace("http://www.w3.org/2000/svg", ""))
    assert not re.findall(r"""(?:src|href|fetch\(|from )=?\s*["'`]/(?!">)""", text)
    assert len(text.splitlines()) < (300 if path.suffix == ".css" else 250)


def test_every_file_is_used() -> None:
    assert {used for path in CODE for used in uses(path)} >= names()


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_a_file_refers_only_to_files_that_are_served(path: Path) -> None:
    assert set(uses(path)) <= names()


def uses(path: Path) -> Iterator[str]:
    """Yields the paths under /page/ to which a file refers: imports, elements, and samples."""
    text = path.read_text()
    for imported in re.findall(r'from "(\.[^"]+)"', text):
        yield (path.parent / imported).resolve().relative_to(STATIC).as_posix()
    yield from re.findall(r'(?:src|href)="page/([^"]+)"', text)
    if path.name == "examples.js":
        yield from (f"samples/{name}" for name in re.findall(r'\["([^"]+)"', text))


def test_images_have_a_licence_and_are_small() -> None:
    readme = (STATIC / "README.md").read_text()
    assert SAMPLES
    assert all(f"`{path.name}`" in readme for path in SAMPLES)
    assert sum(path.stat().st_size for path in SAMPLES) < 100_000
