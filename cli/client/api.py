"""The stack's API over HTTP, as any client reaches it."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from pydantic import BaseModel, ValidationError
from urllib3.exceptions import HTTPError

from cli.client.stack import NoStack, Stack
from facet.errors import FacetError

CONNECT, READ = 5.0, 35.0
"""Seconds; API Gateway answers after 29 at the latest."""

BUSY = (429, 503)
FORBIDDEN = 403
PAGE = 100
PATIENCE = 120.0
"""Seconds that a command waits altogether for an endpoint that is busy or loads a model."""

Parsed = TypeVar("Parsed", bound=BaseModel)
Document = dict[str, Any]


class ApiUnreachable(FacetError):
    """There is no answer, or none of Facet's; the message says from where."""


class ApiRefused(FacetError):
    """The API answered with an error. `status` is HTTP's; the message is the problem's detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


@dataclass
class Patience:
    """Seconds that are left for waiting; `told` hears of the first wait."""

    left: float = PATIENCE
    pause: Callable[[float], object] = time.sleep
    told: Callable[[str], object] = lambda _: None
    waited: bool = False

    def wait(self, seconds: float, reason: str) -> bool:
        """Waits, or says that there is no time for it."""
        if seconds > self.left:
            return False
        if not self.waited:
            self.told(f"{reason} Waiting up to {self.left:.0f} s for it.")
        self.waited = True
        self.left -= seconds
        self.pause(seconds)
        return True


@dataclass(frozen=True)
class Api:
    """One API, asked with one key.

    All methods raise ApiUnreachable, and ApiRefused for an answer that is an error; one that says
    to come back later only when patience has run out.
    """

    url: str
    key: str
    patience: Patience = field(default_factory=Patience)
    pool: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)

    def health(self) -> str:
        """What the API says of itself: `ok`."""
        return str(self._ask("GET", "/health").get("status"))

    def models(self) -> Iterator[Document]:
        """All models by name, read page by page."""
        after: str | None = ""
        while after is not None:
            page = self._ask("GET", "/models", query=_some(limit=PAGE, after=after))
            yield from page["models"]
            after = page["next"]

    def model(self, name: str) -> Document:
        """One model with its versions."""
        return self._ask("GET", f"/models/{quote(name, safe='')}")

    def predict(
        self, model: str, body: bytes, content_type: str, *, top_k: int, version: str | None
    ) -> Document:
        """The labels of what the body holds."""
        return self._ask(
            "POST",
            f"/models/{quote(model, safe='')}/predict",
            query=_some(top_k=top_k, version=version),
            body=body,
            content_type=content_type,
        )

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> Document:
        url = self.url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        headers = _some(**{"x-api-key": self.key, "content-type": content_type})
        while True:
            answer = self._answer(method, url, headers, body)
            if answer.status == 200:
                return _document(answer.data, url)
            refused = _refusal(answer)
            if answer.status not in BUSY or not self.patience.wait(_later(answer), str(refused)):
                raise refused

    def _answer(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        try:
            return self.pool.request(
                method,
                url,
                headers=headers,
                body=body,
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(CONNECT, READ),
            )
        except HTTPError as error:
            raise ApiUnreachable(
                f"{self.url} cannot be reached ({error}); `facet status` shows what runs"
            ) from error


def reach(stack: Stack, patience: Patience | None = None) -> Api:
    """The stack's API with the stack's own key. Raises NoStack, and botocore's errors."""
    if not stack.api_url:
        raise NoStack("the stack has no output ApiUrl: is it Facet's? Deploy it again")
    return Api(stack.api_url, api_key(stack), patience or Patience(), _pool(stack.api_url))


def parsed(kind: type[Parsed], document: Document) -> Parsed:
    """An API's document as what it should be. Raises ApiUnreachable."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise ApiUnreachable(
            f"the API answered something else than a {kind.__name__}: is it Facet's, and as new as "
            "this command?"
        ) from error


def api_key(stack: Stack) -> str:
    """Read the key of the stack's API. Raises botocore's errors."""
    if stack.api_key:
        return stack.api_key
    found = stack.client("apigateway").get_api_key(apiKey=stack.api_key_id, includeValue=True)
    return str(found["value"])


def _pool(url: str) -> urllib3.PoolManager:
    """Through the environment's proxy, as botocore goes."""
    at = urlsplit(url)
    proxy = getproxies().get(at.scheme)
    if proxy and not proxy_bypass(at.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def _some(**values: object) -> dict[str, str]:
    """Those that have a value, as texts."""
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


def _document(data: bytes, url: str) -> Document:
    try:
        found = json.loads(data)
    except ValueError as error:
        raise ApiUnreachable(f"{url} answered no JSON: is it Facet's API?") from error
    if not isinstance(found, dict):
        raise ApiUnreachable(f"{url} answered no JSON object: is it Facet's API?")
    return found


def _refusal(answer: urllib3.BaseHTTPResponse) -> ApiRefused:
    """Facet says `detail`, API Gateway itself only `message`."""
    try:
        said = json.loads(answer.data)
        detail = said.get("detail") or said.get("message") or ""
    except (ValueError, AttributeError):
        detail = ""
    if answer.status == FORBIDDEN:
        detail = f"the API does not take this key ({detail}); was the stack deployed anew?"
    return ApiRefused(answer.status, detail or f"the API answered with status {answer.status}")


def _later(answer: urllib3.BaseHTTPResponse) -> float:
    """Seconds until it may be tried again; API Gateway's own answers do not say."""
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 1.0
