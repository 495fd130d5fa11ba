import base64
import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facet.errors import BadRequest, BodyTooLarge
from predict.http.body import MAX_BODY, MAX_IMAGES, SentImages, read_images
from tests.support.inputs import artifacts

JPEG = b"\xff\xd8\xff not really"
TEXT = base64.b64encode(JPEG).decode()


def from_json(document: Any, content_type: str = "application/json") -> SentImages:
    return read_images(content_type, json.dumps(document).encode())


def form(*parts: tuple[str, bytes], boundary: str = "XX") -> bytes:
    """Builds a form of parts: (the rest of the Content-Disposition, content)."""
    body = b""
    for disposition, content in parts:
        head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
        body += head.encode() + content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def from_form(body: bytes, content_type: str = "multipart/form-data; boundary=XX") -> SentImages:
    return read_images(content_type, body)


@pytest.mark.parametrize(
    "content_type",
    [
        "image/jpeg",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
        "",
        "nonsense",
        "\r\n",
    ],
)
def test_any_other_content_type_is_the_image_itself(content_type: str) -> None:
    assert read_images(content_type, JPEG) == SentImages((JPEG,))


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"]
)
def test_json_with_one_image(content_type: str) -> None:
    assert from_json({"image": TEXT}, content_type) == SentImages((JPEG,))


def test_json_with_many_images_keeps_their_order() -> None:
    other = base64.b64encode(b"other").decode()
    assert from_json({"images": [other, TEXT]}) == SentImages((b"other", JPEG), many=True)


def test_a_batch_of_one_is_still_a_batch() -> None:
    assert from_json({"images": [TEXT]}).many


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        None,
        "text",
        7,
        {"image": None},
        {"image": 7},
        {"image": [TEXT]},
        {"images": []},
        {"images": TEXT},
        {"images": {"0": TEXT}},
        {"image": TEXT, "images": [TEXT]},
        {"image": TEXT, "top_k": 3},
        {"instances": [TEXT]},
    ],
)
def test_other_json_is_rejected_with_the_accepted_forms(document: Any) -> None:
    with pytest.raises(BadRequest, match=re.escape('{"image": "<base64>"}')):
        from_json(document)


@pytest.mark.parametrize("body", [b"{", b"{'image': 1}", b"\xff\xfe", b"NaN", b"[" * 100_000])
def test_invalid_json_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest, match="not valid JSON"):
        read_images("application/json", body)


@pytest.mark.parametrize("data", [JPEG, b"", b"\xfb\xff\xfe>>>???", bytes(range(256))])
def test_base64_of_everyday_tools(data: bytes) -> None:
    plain = base64.b64encode(data).decode()
    forms = [
        plain,
        plain.rstrip("="),
        plain + "\n",
        base64.encodebytes(data).decode(),
        base64.encodebytes(data).decode().replace("\n", "\r\n"),
        base64.urlsafe_b64encode(data).decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        f"data:image/jpeg;base64,{plain}",
        f"DATA:image/jpeg;charset=x;BASE64,{quote(plain)}",
        f"data:;base64,{plain}",
    ]
    for text in forms:
        assert from_json({"image": text}).images == (data,)
        assert from_json({"images": [text]}).images == (data,)


@pytest.mark.parametrize(
    "text",
    ["A", "AA===", "A=AA", "Ä" * 4, "data:x,AAAA", "AA*A", "data:x;base64", "%41A"],
)
def test_invalid_base64_is_reported_with_its_field(text: str) -> None:
    with pytest.raises(BadRequest, match=r"^image is not valid base64"):
        from_json({"image": text})
    sound, broken = from_json({"images": [TEXT, text]}).images
    assert sound == from_json({"image": TEXT}).images[0]
    assert isinstance(broken, BadRequest)
    assert str(broken).startswith("images[1] is not valid base64")


def test_an_image_of_a_batch_must_be_a_string() -> None:
    (broken,) = from_json({"images": [7]}).images
    assert str(broken) == "images[0] must be a string: the image's bytes in base64."


def test_the_number_of_images_is_limited() -> None:
    assert len(from_json({"images": [TEXT] * MAX_IMAGES}).images) == MAX_IMAGES
    with pytest.raises(BadRequest, match=f"send at most {MAX_IMAGES}"):
        from_json({"images": [TEXT] * (MAX_IMAGES + 1)})


def test_an_empty_body_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match="empty"):
        read_images("image/jpeg", b"")


@pytest.mark.parametrize("content_type", ["image/jpeg", "application/json", "multipart/form-data"])
def test_the_size_limit_applies_to_every_content_type(content_type: str) -> None:
    with pytest.raises(BodyTooLarge, match="4,500,001 bytes"):
        read_images(content_type, bytes(MAX_BODY + 1))


def test_an_image_at_the_limit_is_accepted() -> None:
    assert read_images("image/jpeg", bytes(MAX_BODY)).images == (bytes(MAX_BODY),)


@pytest.mark.parametrize(
    "disposition", ['name="image"; filename="a.jpg"', 'name="image"', 'name="x"; filename="a"']
)
def test_form_with_a_file(disposition: str) -> None:
    assert from_form(form((disposition, JPEG))) == SentImages((JPEG,))


def test_form_fields_without_a_file_are_ignored() -> None:
    body = form(('name="note"', b"hello"), ('name="image"; filename="a.jpg"', JPEG))
    assert from_form(body) == SentImages((JPEG,))


def test_form_with_a_large_file_and_a_quoted_boundary() -> None:
    image = bytes(range(256)) * 4000
    body = form(('name="image"; filename="a.jpg"', image), boundary="a b'c")
    assert from_form(body, 'multipart/form-data; boundary="a b\'c"') == SentImages((image,))


@pytest.mark.parametrize(
    ("body", "count"),
    [
        (form(), 0),
        (form(('name="note"', b"hello")), 0),
        (form(('name="a"; filename="a"', JPEG), ('name="b"; filename="b"', JPEG)), 2),
    ],
)
def test_a_form_must_have_exactly_one_file(body: bytes, count: int) -> None:
    with pytest.raises(BadRequest, match=f"has {count} files; send one"):
        from_form(body)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (form(('name="image"; filename="a"', JPEG)), "multipart/form-data"),
        (form(('name="image"; filename="a"', JPEG)), "multipart/form-data; boundary="),
        (form(('name="image"; filename="a"', JPEG)), "multipart/form-data; boundary=other"),
        (form(('name="image"; filename="a"', JPEG)), "multipart/form-data; boundary=ü"),
        (form(('name="image"; filename="a"', JPEG))[:-12], "multipart/form-data; boundary=XX"),
        (b"--XX\r\n\r\n", "multipart/form-data; boundary=XX"),
        (JPEG, "multipart/form-data; boundary=XX"),
    ],
    ids=["no-boundary", "empty", "other", "odd", "cut", "no-header", "no-form"],
)
def test_a_malformed_form_is_a_bad_request(body: bytes, content_type: str) -> None:
    with pytest.raises(BadRequest):
        from_form(body, content_type)


headers = st.sampled_from(["application/json", "multipart/form-data; boundary=XX"]) | st.text()


@given(
    headers, st.binary(max_size=200) | st.binary(max_size=80).map(lambda tail: b"--XX\r\n" + tail)
)
def test_any_body_is_images_or_a_bad_request(content_type: str, body: bytes) -> None:
    try:
        found = read_images(content_type, body)
    except BadRequest:
        return
    assert found.images


@pytest.mark.parametrize("content_type", ["", "application/x-www-form-urlencoded", "text/plain"])
def test_json_without_its_type_is_read(content_type: str) -> None:
    """`curl -d` sends the second one."""
    assert from_json({"image": TEXT}, content_type) == SentImages((JPEG,))
    with pytest.raises(BadRequest, match="not valid JSON"):
        read_images(content_type, b'{"image"')


def test_a_png_without_its_line_breaks_is_named_as_what_it_is() -> None:
    stripped = artifacts.encoded().replace(b"\r", b"").replace(b"\n", b"")
    with pytest.raises(BadRequest, match="--data-binary"):
        read_images("application/x-www-form-urlencoded", stripped)


def test_a_form_may_have_parameters() -> None:
    file = ('name="image"; filename="a.jpg"', JPEG)
    fields = [('name="top_k"', b"3"), ('name="version"', b"0123456789ab"), ('name="x"', b"y")]
    sent = from_form(form(*fields, file))
    assert sent == SentImages((JPEG,), top_k="3", version="0123456789ab")


@pytest.mark.parametrize(
    ("charset", "content"),
    [("klingon", b"3"), ("base64", b"Mw=="), ("undefined", b"3"), ("utf-7", b"+2AA-")],
)
def test_a_field_in_an_unusable_charset_is_a_bad_request(charset: str, content: bytes) -> None:
    """The last one is half of a surrogate pair, which no JSON can quote."""
    typed = f'name="top_k"\r\nContent-Type: text/plain; charset={charset}'
    with pytest.raises(BadRequest, match="multipart form is malformed"):
        from_form(form((typed, content), ('name="image"; filename="a.jpg"', JPEG)))
