"""A client of the stack's REST API, which waits and retries while the endpoint is busy."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from pydantic import BaseModel, ValidationError
from urllib3.exceptions import HTTPError
from urllib3.filepost import encode_multipart_formdata

from cli.client.stack import NoStack, Stack
from facet.errors import FacetError, UnknownModel
from facet.keys import MODEL_NAME

TIMEOUT = urllib3.Timeout(connect=5.0, read=35.0)
"""Seconds. API Gateway answers within 29."""

RETRYABLE = (429, 503)
FORBIDDEN, NOT_FOUND = 403, 404
TOO_LARGE, UPLOAD_FAILED = 413, 502
"""The statuses of errors that concern one upload."""

RAW, JSON = "application/octet-stream", "application/json"
PAGE_SIZE = 100
MAX_WAIT = 120.0
"""Seconds that a command waits in total while the endpoint is busy or loads a model."""

Parsed = TypeVar("Parsed", bound=BaseModel)
Document = dict[str, Any]


class ApiUnreachable(FacetError):
    """The API cannot be reached, or the answer is not a Facet API's; the message has the URL."""


class ApiError(FacetError):
    """An error response of the API: `status` is HTTP's, the message is the problem's detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class _Form(BaseModel):
    """Where to upload an image."""

    s3: str
    url: str
    fields: dict[str, str]
    content_type: str
    max_bytes: int


@dataclass
class RetryBudget:
    """Seconds left for waiting in all requests; `on_first_wait` gets the first wait's reason."""

    seconds_left: float = MAX_WAIT
    sleep: Callable[[float], object] = time.sleep
    on_first_wait: Callable[[str], object] = lambda _: None
    waited: bool = False

    def wait(self, seconds: float, reason: str) -> bool:
        """Sleep, or return False if the budget is too small."""
        if seconds > self.seconds_left:
            return False
        if not self.waited:
            self.on_first_wait(f"{reason} Waiting up to {self.seconds_left:.0f} s.")
        self.waited = True
        self.seconds_left -= seconds
        self.sleep(seconds)
        return True


@dataclass(frozen=True)
class Api:
    """A client with one key.

    All methods raise ApiUnreachable, UnknownModel for a name that no model can have, and ApiError
    for an error response. 429 and 503 are retried after their Retry-After until the budget is used
    up.
    """

    url: str
    key: str
    budget: RetryBudget = field(default_factory=RetryBudget)
    pool: urllib3.PoolManager = field(default_factory=urllib3.PoolManager)

    def health(self) -> str:
        """The API's health status, `ok`."""
        return str(self._request("GET", "/health").get("status"))

    def models(self) -> Iterator[Document]:
        """Iterate over all models by name, one page after the other."""
        after: str | None = ""
        while after is not None:
            page = self._request("GET", "/models", query=_non_empty(limit=PAGE_SIZE, after=after))
            yield from page["models"]
            after = page["next"]

    def model(self, name: str) -> Document:
        """Get one model with all its versions, one page after the other."""
        path = _path(name)
        page = self._request("GET", path)
        model = page
        while token := page.get("next_token"):
            page = self._request("GET", path, query={"next_token": str(token)})
            model = model | {"versions": [*model["versions"], *page["versions"]]}
        return model | {"next_token": None}

    def predict(
        self,
        model: str,
        body: bytes,
        content_type: str,
        *,
        top_k: int,
        version: str | None,
        explain: bool = False,
    ) -> Document:
        """Classify the images in a request body."""
        return self._request(
            "POST",
            f"{_path(model)}/predict",
            query=_non_empty(top_k=top_k, version=version, explain="true" if explain else None),
            body=body,
            content_type=content_type,
        )

    def upload(self, image: bytes) -> str:
        """Upload an image that is too large for a request; return its key."""
        form = parse(_Form, self._request("POST", "/uploads", body=b"{}", content_type=JSON))
        if len(image) > form.max_bytes:
            raise ApiError(
                TOO_LARGE,
                f"it has {len(image):,} bytes; the limit of an upload is {form.max_bytes:,}. "
                "Send a smaller copy.",
            )
        file = ("image", image, form.content_type)
        body, content_type = encode_multipart_formdata([*form.fields.items(), ("file", file)])
        answer = self.send("POST", form.url, {"content-type": content_type}, body)
        if answer.status not in (200, 201, 204):
            raise ApiError(UPLOAD_FAILED, f"the upload failed: S3 answered {answer.status}")
        return form.s3

    def teach(self, model: str, options: Mapping[str, object]) -> Document:
        """Start to teach a model on a data set; return the teaching's state."""
        body = json.dumps(options).encode()
        return self._request("POST", f"{_path(model)}/teach", body=body, content_type=JSON)

    def teaching(self, model: str) -> Document:
        """Get the state of the model's newest teaching."""
        return self._request("GET", f"{_path(model)}/teach")

    def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str | None = None,
    ) -> Document:
        url = self.url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
        headers = _non_empty(**{"x-api-key": self.key, "content-type": content_type})
        while True:
            answer = self.send(method, url, headers, body)
            if answer.status in (200, 201, 202):
                return _document(answer.data, url)
            error = _error(answer)
            if answer.status not in RETRYABLE:
                raise error
            if not self.budget.wait(_retry_after(answer), str(error)):
                raise error

    def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        """Send one request as it is, to the API or to S3. Raises ApiUnreachable."""
        try:
            return self.pool.request(
                method,
                url,
                headers=headers,
                body=body,
                redirect=False,
                retries=False,
                timeout=TIMEOUT,
            )
        except HTTPError as error:
            raise ApiUnreachable(
                f"{self.url} cannot be reached ({error}); check the stack with `facet status`"
            ) from error


def connect(stack: Stack, budget: RetryBudget | None = None) -> Api:
    """Create a client for the stack's API. Raises NoStack, and botocore's errors."""
    if not stack.api_url:
        raise NoStack(
            "the stack has no output ApiUrl; check that it is a Facet stack, then deploy it again"
        )
    return Api(stack.api_url, api_key(stack), budget or RetryBudget(), _pool(stack.api_url))


def parse(kind: type[Parsed], document: Document) -> Parsed:
    """Validate an API's document. Raises ApiUnreachable if it has another form."""
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise ApiUnreachable(
            f"the API's answer is not a {kind.__name__}; check that it is a Facet API of this "
            "command's version"
        ) from error


def api_key(stack: Stack) -> str:
    """Read the key of the stack's API. Raises botocore's errors."""
    if stack.api_key:
        return stack.api_key
    key = stack.client("apigateway").get_api_key(apiKey=stack.api_key_id, includeValue=True)
    return str(key["value"])


def _pool(url: str) -> urllib3.PoolManager:
    """Connect through the environment's proxy, as botocore does."""
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if proxy and not proxy_bypass(parts.hostname or ""):
        return urllib3.ProxyManager(proxy)
    return urllib3.PoolManager()


def _path(model: str) -> str:
    """The model's path. Raises UnknownModel for a name that API Gateway may refuse by itself."""
    if not MODEL_NAME.fullmatch(model):
        raise UnknownModel(model)
    return f"/models/{model}"


def _non_empty(**values: object) -> dict[str, str]:
    """Keep the values that are neither None nor empty, as text."""
    return {name: str(value) for name, value in values.items() if value not in (None, "")}


def _document(data: bytes, url: str) -> Document:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise ApiUnreachable(
            f"the answer of {url} is not JSON; check that it is a Facet API"
        ) from error
    if not isinstance(document, dict):
        raise ApiUnreachable(
            f"the answer of {url} is not a JSON object; check that it is a Facet API"
        )
    return document


def _error(answer: urllib3.BaseHTTPResponse) -> ApiError:
    """Read the reason: Facet's errors have `detail`, API Gateway's own only `message`."""
    try:
        problem = json.loads(answer.data)
        detail = problem.get("detail") or problem.get("message") or ""
    except (ValueError, AttributeError):
        detail = ""
    if answer.status == FORBIDDEN:
        detail = f"the API rejects this key ({detail}); deploy or start the stack again"
    return ApiError(answer.status, detail or f"the API answered with status {answer.status}")


def _retry_after(answer: urllib3.BaseHTTPResponse) -> float:
    """Seconds to wait; 1 if the header is missing, as in API Gateway's own errors."""
    seconds = answer.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else 1.0
