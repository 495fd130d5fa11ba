"""The routes of data sets: images come and go, labels change, and bad requests do nothing."""

import base64
import json
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest.mock import ANY

import pytest
from botocore.stub import Stubber

from facet.errors import BadRequest
from teach import app
from teach.data_sets import DataSets, StoredImage
from tests.support import contract
from tests.support.api import PNG, Reply, call
from tests.support.aws.fakes import BUCKET

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.usefixtures("functions")

KEY = "datasets/pets/train/cat/1.png"
CONTENT = base64.b64encode(PNG).decode()
ask = partial(call, handler=app.handler)


def send(method: str, path: str, document: Any) -> Reply:
    contract.check_request(method, path, "application/json", document)
    return refused(method, path, document)


def refused(method: str, path: str, document: Any) -> Reply:
    return ask(method, path, json.dumps(document).encode(), "application/json")


def add(label: str, *names: str, content: str = CONTENT, dataset: str = "pets") -> Reply:
    images = [{"name": each, "content": content} for each in names]
    return send("POST", f"/datasets/{dataset}/images", {"label": label, "images": images})


def labels() -> dict[str, int]:
    document = ask("GET", "/datasets/pets").document
    assert document["images"] == sum(each["images"] for each in document["labels"])
    return {each["label"]: each["images"] for each in document["labels"]}


def test_images_are_added_listed_and_shown() -> None:
    assert labels() == {}
    reply = add("cat", "1.png", "2.png")
    assert (reply.status, reply.document) == (
        201,
        {"uploads": [{"name": f"{n}.png", "url": None, "fields": {}} for n in (1, 2)]},
    )
    add("dog", "1.png")
    assert labels() == {"cat": 2, "dog": 1}
    page = ask("GET", "/datasets/pets/images", label="cat", after="cat/1.png").document
    assert page == {"images": [{"name": "2.png", "size": len(PNG)}], "next": None}
    shown = ask("GET", "/datasets/pets/image", label="dog", name="1.png")
    assert (shown.image, shown.headers["Content-Type"]) == (PNG, "image/png")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_says_where_the_next_one_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "PAGE", 2)
    add("cat", "a.png", "b.png", "c.png")
    first = ask("GET", "/datasets/pets/images", label="cat").document
    rest = ask("GET", "/datasets/pets/images", label="cat", after=first["next"]).document
    assert [each["name"] for each in first["images"] + rest["images"]] == [
        "a.png",
        "b.png",
        "c.png",
    ]
    assert rest["next"] is None


def test_a_label_may_go_on_in_the_next_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "COUNTED", 2)
    add("cat", "1.png", "2.png", "3.png")
    add("dog", "1.png")
    pages, after = [], ""
    while after is not None:
        pages.append(ask("GET", "/datasets/pets", after=after).document)
        after = pages[-1]["next"]
    found = [[(each["label"], each["images"]) for each in page["labels"]] for page in pages]
    assert found == [[("cat", 2)], [("cat", 1), ("dog", 1)], []]


def test_a_form_puts_the_file_where_training_reads_it() -> None:
    image = {"name": "1.jpg", "content_type": "image/png"}
    reply = send("POST", "/datasets/pets/images", {"label": "cat", "images": [image]})
    (form,) = reply.document["uploads"]
    assert form == {"name": "1.jpg", "url": ANY, "fields": ANY}
    assert BUCKET in form["url"]
    assert form["fields"]["key"] == "datasets/pets/train/cat/1.jpg"
    assert form["fields"]["Content-Type"] == "image/png"
    policy = json.loads(base64.b64decode(form["fields"]["policy"]))
    assert ["content-length-range", 1, 1_000_000] in policy["conditions"]


def test_names_are_composed_as_uploads_of_folders_are(s3: "S3Client") -> None:
    add("Ka\u0308fer", "1.png")
    (stored,) = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert stored["Key"] == "datasets/pets/train/K\u00e4fer/1.png"
    shown = ask("GET", "/datasets/pets/image", label="Ka\u0308fer", name="1.png")
    assert shown.image == PNG


DECOMPOSED, COMPOSED = "Ka\u0308fer", "K\u00e4fer"


def store(s3: "S3Client", *paths: str, content: bytes = PNG) -> None:
    """Stores images as another client does."""
    for each in paths:
        s3.put_object(Bucket=BUCKET, Key=f"datasets/pets/train/{each}", Body=content)


def test_decomposed_names_of_other_clients_are_listed_shown_and_deleted(s3: "S3Client") -> None:
    store(s3, f"{DECOMPOSED}/{DECOMPOSED}.png", f"{DECOMPOSED}/2.png", "cat/3.png")
    assert labels() == {COMPOSED: 2, "cat": 1}
    for label in (COMPOSED, DECOMPOSED):
        page = ask("GET", "/datasets/pets/images", label=label).document
        assert [each["name"] for each in page["images"]] == ["2.png", f"{COMPOSED}.png"]
    shown = ask("GET", "/datasets/pets/image", label=COMPOSED, name=f"{COMPOSED}.png")
    assert shown.image == PNG
    chosen = {"label": COMPOSED, "names": [f"{COMPOSED}.png"]}
    assert send("DELETE", "/datasets/pets/images", chosen).document["deleted"] == 1
    assert labels() == {COMPOSED: 1, "cat": 1}
    assert send("DELETE", "/datasets/pets/images", {"label": COMPOSED}).document["deleted"] == 1
    assert labels() == {"cat": 1}


def test_spellings_of_a_label_are_one_label(
    s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "PAGE", 1)
    store(s3, f"{DECOMPOSED}/1.png", f"{COMPOSED}/2.png", f"{COMPOSED}/3.png")
    assert labels() == {COMPOSED: 3}
    names, after = [], ""
    while after is not None:
        page = ask("GET", "/datasets/pets/images", label=COMPOSED, after=after).document
        names += [each["name"] for each in page["images"]]
        after = page["next"]
    assert names == ["1.png", "2.png", "3.png"]
    assert rename(COMPOSED, "beetle").document["moved"] == 3
    assert labels() == {"beetle": 3}


def test_a_rename_keeps_different_images_whose_names_are_spelled_differently(
    s3: "S3Client",
) -> None:
    store(s3, f"{DECOMPOSED}/1.png")
    store(s3, f"{COMPOSED}/1.png", content=b"another")
    assert rename(COMPOSED, "beetle").problem == (400, "bad-request")
    assert labels() == {COMPOSED: 2}


def test_labels_that_the_api_would_not_take_can_be_renamed(s3: "S3Client") -> None:
    long = "x" * 250
    store(s3, " cat/1.png", f"{long}/2.png")
    assert rename(" cat", "cat").document["moved"] == 1
    assert rename(long, "dog").document["moved"] == 1
    assert labels() == {"cat": 1, "dog": 1}


def test_images_and_labels_are_deleted() -> None:
    add("cat", "1.png", "2.png", "3.png")
    add("cats", "1.png")
    path = "/datasets/pets/images"
    chosen = send("DELETE", path, {"label": "cat", "names": ["1.png", "9.png"]})
    assert chosen.document == {"dataset": "pets", "deleted": 1}
    assert labels() == {"cat": 2, "cats": 1}
    assert send("DELETE", path, {"label": "cat"}).document["deleted"] == 2
    assert labels() == {"cats": 1}


def rename(old: str, new: str) -> Reply:
    return send("PATCH", "/datasets/pets", {"rename": {"from": old, "to": new}})


def test_a_label_is_renamed_and_joins_another() -> None:
    add("cat", "1.png")
    add("kitten", "2.png")
    assert rename("cat", "kitten").document == {"dataset": "pets", "moved": 1}
    assert labels() == {"kitten": 2}
    assert rename("cat", "kitten").document["moved"] == 0, "an interrupted one may be repeated"


def test_a_rename_to_itself_changes_nothing() -> None:
    add("cat", "1.png")
    assert rename("cat", "cat").problem == (400, "bad-request")
    assert labels() == {"cat": 1}


def test_different_images_of_one_name_are_not_lost() -> None:
    add("cat", "1.png", "2.png")
    add("dog", "1.png", content=base64.b64encode(b"another").decode())
    reply = rename("cat", "dog")
    assert reply.problem == (400, "bad-request")
    assert "1.png" in reply.document["detail"]
    assert labels() == {"cat": 2, "dog": 1}


def test_a_rename_never_reads_an_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen images of 25 MB are more than the function's memory."""
    add("cat", "1.png", "2.png")
    monkeypatch.setattr(DataSets, "read", None)
    monkeypatch.setattr(DataSets, "read_listed", None)
    assert rename("cat", "kitten").document["moved"] == 2
    assert labels() == {"kitten": 2}


def test_an_interrupted_rename_goes_on_without_equal_etags(s3: "S3Client") -> None:
    """As with a KMS key: a copy's ETag is another one. Uploads in parts have such ETags, too."""
    add("kitten", "1.png")
    key = "datasets/pets/train/cat/1.png"
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    part = {"Bucket": BUCKET, "Key": key, "UploadId": upload, "PartNumber": 1}
    etag = s3.upload_part(**part, Body=PNG)["ETag"]  # type: ignore[arg-type]
    s3.complete_multipart_upload(
        Bucket=BUCKET,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]},
    )
    assert s3.head_object(Bucket=BUCKET, Key=key)["ETag"] != etag
    assert rename("cat", "kitten").document["moved"] == 1
    assert labels() == {"kitten": 1}


def test_an_image_that_is_replaced_during_a_rename_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    add("cat", "1.png", "2.png")
    copy = DataSets._copy
    new = base64.b64encode(b"new").decode()

    def replaced(self: DataSets, name: str, label: str, image: StoredImage) -> None:
        copy(self, name, label, image)
        if image.name == "1.png":
            add("cat", "1.png", content=new)

    monkeypatch.setattr(DataSets, "_copy", replaced)
    assert rename("cat", "kitten").document["moved"] == 1
    assert labels() == {"cat": 1, "kitten": 2}
    assert ask("GET", "/datasets/pets/image", label="cat", name="1.png").image == b"new"


@pytest.mark.parametrize("code", ["PreconditionFailed", "NoSuchKey"])
def test_a_rename_says_which_image_changed_before_it_was_copied(s3: "S3Client", code: str) -> None:
    sets = DataSets(s3, BUCKET)
    with Stubber(s3) as stub:
        stub.add_client_error("copy_object", code)
        with pytest.raises(BadRequest, match=r"'cat/1\.png' was replaced or deleted"):
            sets._copy("pets", "kitten", StoredImage("cat", "1.png", 1, "e", KEY))


def test_folders_of_the_console_are_no_images(s3: "S3Client") -> None:
    add("cat", "1.png")
    for key in ("", "more/2.png"):
        s3.put_object(Bucket=BUCKET, Key=f"datasets/pets/train/cat/{key}", Body=b"")
    page = ask("GET", "/datasets/pets/images", label="cat").document
    assert [each["name"] for each in page["images"]] == ["1.png"]
    assert labels() == {"cat": 1}


def test_labels_and_names_may_have_joiners_inside() -> None:
    label = "\N{MAN}\u200d\N{GIRL}"
    assert add(label, f"{label}.png").status == 201
    assert labels() == {label: 1}
    assert add("\u200d", "1.png").problem == (400, "bad-request")


def test_two_images_of_one_name_are_refused() -> None:
    """The first one would be lost. The names are equal when they are composed."""
    reply = add("cat", "1.png", "K\u00e4fer.png", "Ka\u0308fer.png")
    assert reply.problem == (400, "bad-request")
    assert "K\u00e4fer.png" in reply.document["detail"]
    assert labels() == {}


@pytest.mark.parametrize(
    ("label", "image", "named"),
    [
        ("a/b", {}, "label: must not contain /"),
        ("", {}, "label: must have 1 to 200 bytes"),
        (".hidden", {}, "label"),
        ("cat ", {}, "label"),
        ("x" * 201, {}, "label"),
        ("cat", {"name": "a.txt"}, "images.0.name: must end in one of .jpg"),
        ("cat", {"name": "../a.jpg"}, "images.0.name"),
        ("cat", {"content_type": "text/html"}, "images.0.content_type"),
        ("cat", {"content": "§"}, "images.0.content: must be the file in base64"),
        ("cat", {"more": 1}, "images.0.more"),
    ],
)
def test_a_bad_image_is_named_and_nothing_is_stored(
    label: str, image: dict[str, Any], named: str
) -> None:
    images = [{"name": "1.png", "content": CONTENT} | image]
    reply = refused("POST", "/datasets/pets/images", {"label": label, "images": images})
    assert reply.problem == (400, "bad-request")
    assert named in reply.document["detail"]
    assert labels() == {}


def test_all_that_is_wrong_is_named() -> None:
    images = [{"name": "a"}, {"name": "b", "content_type": "x"}]
    reply = refused("POST", "/datasets/pets/images", {"label": "", "images": images})
    for place in ("label", "images.0.name", "images.1.name", "images.1.content_type"):
        assert f"{place}: " in reply.document["detail"]


@pytest.mark.parametrize(
    ("method", "path", "query", "problem"),
    [
        ("GET", "/datasets/No", {}, (400, "bad-request")),
        ("GET", "/datasets/pets/images", {}, (400, "bad-request")),
        ("GET", "/datasets/pets/images", {"label": "a/b"}, (400, "bad-request")),
        ("GET", "/datasets/pets/image", {"label": "a", "name": "1.png"}, (404, "unknown-image")),
    ],
)
def test_other_bad_requests(
    method: str, path: str, query: dict[str, Any], problem: tuple[int, str]
) -> None:
    assert ask(method, path, **query).problem == problem


def test_a_body_that_is_no_json() -> None:
    assert ask("PATCH", "/datasets/pets", b"{", "application/json").problem[0] == 400


def test_a_large_image_is_not_shown(s3: "S3Client") -> None:
    key = "datasets/pets/train/cat/1.png"
    s3.put_object(Bucket=BUCKET, Key=key, Body=bytes(4_000_001))
    reply = ask("GET", "/datasets/pets/image", label="cat", name="1.png")
    assert reply.problem == (413, "body-too-large")
