"""What is known about a data set before its upload."""

import io

import pytest
from PIL import Image

from tests.support import images
from training.data import formats
from training.data.check import check
from training.data.layout import Entry, ImageFolder, SourceError, arrange

JPEG = images.jpeg()


def checked(files: dict[str, bytes]) -> ImageFolder:
    entries = (
        Entry(tuple(path.split("/")), lambda content=content: content)  # type: ignore[misc]
        for path, content in files.items()
    )
    return check(arrange(entries), lambda: None)


def encoded(kind: str, **how: object) -> bytes:
    data = io.BytesIO()
    image = Image.new("RGB", (24, 16), "red")
    image.putpixel((0, 0), (0, 0, 255))
    image.save(data, kind, **how)
    return data.getvalue()


def four(**more: bytes) -> dict[str, bytes]:
    names = ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg", "dog/2.jpg")
    return dict.fromkeys(names, JPEG) | more


def test_images_that_cannot_be_read_are_left_out_with_the_reason() -> None:
    found = checked(four() | {"cat/cut.jpg": JPEG[:2000], "dog/text.png": b"no image"})
    assert len(found.images) == 4
    assert [(each.path, each.reason.split(";")[0]) for each in found.skipped] == [
        ("cat/cut.jpg", "The image is damaged or cut short"),
        ("dog/text.png", "Unsupported image format"),
    ]


def test_the_wrong_suffix_does_not_matter() -> None:
    assert not checked(four() | {"cat/3.png": JPEG, "dog/3": JPEG}).skipped


def test_all_that_training_would_refuse_is_named_at_once() -> None:
    files = {"train/cat/1.jpg": JPEG, "train/dog/1.jpg": b"", "test/fox/1.jpg": JPEG}
    with pytest.raises(SourceError) as caught:
        checked(files)
    for problem in (
        "class 'dog' has no readable image in channel 'train' ('train/dog/1.jpg'",
        "'cat' is the only class; training needs at least two",
        "channel 'test' has the class 'fox', which channel 'train' lacks",
        "class 'cat' has one image; two are needed",
    ):
        assert problem in str(caught.value)


def test_one_image_is_enough_where_there_is_a_validation_set() -> None:
    files = {f"{channel}/{label}/1.jpg": JPEG for channel in ("train", "val") for label in "ab"}
    assert len(checked(files).images) == 4


@pytest.mark.parametrize(("name", "kind"), [("1.avif", "AVIF"), ("1.HEIC", "HEIF")])
def test_images_of_phones_become_jpegs(name: str, kind: str) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    found = checked(four() | {f"cat/{name}": encoded(kind)})
    (image,) = [each for each in found.images if each.source == f"cat/{name}"]
    assert image.path == f"train/cat/{name}.jpg"
    decoded = Image.open(io.BytesIO(image.read()))
    assert (decoded.format, decoded.size) == ("JPEG", (24, 16))
    red, green, blue = decoded.getpixel((20, 10))  # type: ignore[misc]
    assert red > 240
    assert max(green, blue) < 15


def test_a_damaged_phone_image_is_skipped() -> None:
    found = checked(four() | {"cat/3.avif": encoded("AVIF")[:300], "cat/4.heic": b"0000ftypheic"})
    assert [each.path for each in found.skipped] == ["cat/3.avif", "cat/4.heic"]


def test_transparency_is_blended_with_white() -> None:
    data = io.BytesIO()
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(data, "AVIF")
    decoded = Image.open(io.BytesIO(formats.to_jpeg(data.getvalue())))
    assert min(decoded.getpixel((8, 8))) > 250  # type: ignore[arg-type]
