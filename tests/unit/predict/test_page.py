"""functions/page: what is served, under which headers, and what the files may say."""

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import aws_lambda_powertools.event_handler.openapi.swagger_ui
import pytest
from samcli.yamlhelper import yaml_parse

from page.app import handler
from page.files import STATIC, SWAGGER_UI, names
from tests.support import fakes

ROOT = Path(__file__).parents[3]
CODE = sorted(path for path in STATIC.iterdir() if path.suffix in (".js", ".css", ".html"))
IMAGES = sorted(path.name for path in STATIC.iterdir() if path.suffix in (".jpg", ".png"))


def ask(
    name: str | None = None, *, path: str = "/v1/", resource: str = "/", **headers: str
) -> dict[str, Any]:
    """The answer to `GET /page/{name}`, or to a resource, through JSON as Lambda hands it on."""
    event = {
        "resource": "/page/{file}" if name else resource,
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
def test_the_page_is_told_where_the_api_lies(path: str, base: str) -> None:
    answer = ask(path=path)
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
def test_links_within_the_documentation_lead_to_itself(path: str, base: str) -> None:
    """`#/…` is relative to the base, so that has to be the page, not the folder it lies in."""
    answer = ask(path=path, resource="/docs")
    assert answer["headers"]["Content-Type"] == "text/html; charset=utf-8"
    assert re.findall(r"<base [^\n]*", answer["body"]) == [f'<base href="{base}">']


def test_the_openapi_document_is_served() -> None:
    answer = ask(path="/v1/openapi.json", resource="/openapi.json")
    assert answer["headers"]["Content-Type"] == "application/json"
    assert answer["body"].encode() == (STATIC / "openapi.json").read_bytes()


@pytest.mark.parametrize("name", SWAGGER_UI)
def test_swagger_ui_is_that_of_the_installed_powertools(name: str) -> None:
    folder = Path(aws_lambda_powertools.event_handler.openapi.swagger_ui.__file__).parent
    assert ask(name)["body"].encode() == (folder / name).read_bytes()


@pytest.mark.parametrize("name", SWAGGER_UI)
def test_large_text_is_compressed_for_those_who_take_that(name: str) -> None:
    plain, small = ask(name), ask(name, Accept_Encoding="gzip, deflate, br")
    assert small["headers"]["Content-Encoding"] == "gzip"
    assert gzip.decompress(base64.b64decode(small["body"])) == plain["body"].encode()
    assert len(small["body"]) < len(plain["body"]) / 2
    assert small["headers"]["Vary"] == plain["headers"]["Vary"] == "Accept-Encoding"
    assert small["headers"]["ETag"] != plain["headers"]["ETag"]
    again = ask(name, If_None_Match=small["headers"]["ETag"], Accept_Encoding="gzip")
    assert (again["statusCode"], again["headers"]["Vary"]) == (304, "Accept-Encoding")


def test_small_text_is_sent_as_it_is() -> None:
    assert "Content-Encoding" not in ask("main.js", Accept_Encoding="gzip")["headers"]


@pytest.mark.parametrize("name", SWAGGER_UI)
def test_no_answer_is_over_lambdas_limit(name: str) -> None:
    assert len(json.dumps(ask(name))) < 6_000_000


def test_the_tag_of_the_page_depends_on_where_the_api_lies() -> None:
    assert ask(path="/")["headers"]["ETag"] != ask(path="/v1/")["headers"]["ETag"]


@pytest.mark.parametrize("name", sorted(names().difference(SWAGGER_UI)))
def test_each_file_is_served_whole_under_its_type(name: str) -> None:
    answer = ask(name)
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


@pytest.mark.parametrize("name", [None, "main.js", "cat-chelsea.jpg"])
@pytest.mark.parametrize("header", ["If_None_Match", "if_none_match"])
def test_what_the_browser_has_is_not_sent_again(name: str | None, header: str) -> None:
    tag = ask(name)["headers"]["ETag"]
    for sent in (tag, f'"other", W/{tag}'):
        again = ask(name, **{header: sent})
        assert (again["statusCode"], again["body"]) == (304, "")
        assert again["headers"]["ETag"] == tag
    assert ask(name, **{header: '"other"'})["statusCode"] == 200


@pytest.mark.parametrize("name", ["main.js", None])
def test_code_is_asked_for_anew_and_images_are_kept(name: str | None) -> None:
    assert ask(name)["headers"]["Cache-Control"] == "no-cache"
    for lasting in ("cat-chelsea.jpg", *SWAGGER_UI):
        assert ask(lasting)["headers"]["Cache-Control"] == "max-age=86400"


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "README.md",
        "index.html",
        "docs.html",
        "openapi.json",
        "html.py",
        "../app.py",
        "..%2Fapp.py",
        "/etc/passwd",
    ],
)
def test_nothing_else_is_served(name: str) -> None:
    answer = ask(name)
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
def test_every_answer_forbids_all_that_is_not_the_pages_own(name: str | None) -> None:
    policy = policy_of(ask(name))
    assert policy.pop("default-src") == "'none'"
    assert set(policy.values()) == {"'self'", "'none'"}
    assert {"script-src", "style-src", "connect-src", "base-uri", "frame-ancestors"} <= set(policy)


def test_the_documentation_may_draw_icons_out_of_its_style_sheet_beside() -> None:
    policy = policy_of(ask(path="/v1/docs", resource="/docs"))
    assert policy == policy_of(ask()) | {"img-src": "'self' data:"}


def test_routes_need_no_key() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    events = template["Resources"]["PageFunction"]["Properties"]["Events"].values()
    routes = {each["Properties"]["Path"]: each["Properties"] for each in events}
    assert set(routes) == {"/", "/docs", "/openapi.json", "/page/{file}"}
    assert all(route["Auth"] == {"ApiKeyRequired": False} for route in routes.values())


@pytest.mark.parametrize("name", ["page", "page-docs", "page-file", "page-openapi"])
def test_the_events_are_answered(name: str) -> None:
    event = json.loads((ROOT / "events" / f"{name}.json").read_text())
    assert handler(event, fakes.Context())["statusCode"] == 200  # type: ignore[arg-type]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_no_file_names_another_host_or_the_root_of_this_one(path: Path) -> None:
    text = path.read_text()
    assert not re.findall(r"https?:|//\w+\.", text.replace("http://www.w3.org/2000/svg", ""))
    assert not re.findall(r"""(?:src|href|fetch\(|from )=?\s*["'`]/(?!">)""", text)
    assert len(text.splitlines()) < (300 if path.suffix == ".css" else 250)


def test_all_code_is_used() -> None:
    everything = "\n".join(path.read_text() for path in CODE)
    for name in names():
        assert re.search(rf"""(?:\./|page/|\[")({re.escape(name)})["`]""", everything), name


def test_images_are_free_and_small() -> None:
    told = (STATIC / "README.md").read_text()
    assert IMAGES
    assert all(f"`{name}`" in told for name in IMAGES)
    assert sum((STATIC / name).stat().st_size for name in IMAGES) < 100_000
