"""What is known about a data set before its upload."""

import io
import random

import pytest
from PIL import Image

from tests.support.inputs import artifacts, images
from training.data import formats
from training.data.check import check
from training.data.layout import Entry, ImageFolder, SourceError, arrange

JPEG = images.jpeg()
OTHERS = [
    artifacts.encoded(Image.frombytes("L", (6, 6), random.Random(seed).randbytes(36)), "PNG")
    for seed in range(4)
]


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
    return dict(zip(names, OTHERS, strict=True)) | more


def test_images_that_cannot_be_read_are_left_out_with_the_reason() -> None:
    found = checked(four() | {"cat/cut.jpg": JPEG[:2000], "dog/text.png": b"no image"})
    assert len(found.images) == 4
    assert [(each.path, each.reason.split(";")[0]) for each in found.skipped] == [
        ("cat/cut.jpg", "The image is damaged or cut short"),
        ("dog/text.png", "Unsupported image format"),
    ]


def test_the_wrong_suffix_does_not_matter() -> None:
    assert not checked(four() | {"cat/3.png": JPEG, "dog/3": encoded("PNG")}).skipped


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
    names = [f"{channel}/{label}/1.jpg" for channel in ("train", "val") for label in "ab"]
    assert len(checked(dict(zip(names, OTHERS, strict=True))).images) == 4


def test_copies_and_missing_labels_are_warned_of() -> None:
    one, two, three, four = OTHERS
    files = {"train/a/1.jpg": one, "train/a/2.jpg": two, "train/b/1.jpg": three}
    found = checked(files | {"test/a/1.jpg": two, "test/a/2.jpg": four, "val/a/3.jpg": JPEG})
    assert found.warnings == (
        "1 of the images of channel 'test' are in channel 'train', too, nearly or exactly, such as "
        "test/a/1.jpg and train/a/2.jpg: measures of 'test' are too good",
        "channel 'test' has no image of 'b': nothing is measured for it",
        "channel 'validation' has no image of 'b': nothing is measured for it",
    )


def test_an_image_under_two_labels_is_refused_in_a_small_data_set() -> None:
    with pytest.raises(SourceError) as refused:
        checked(four() | {"cat/3.jpg": OTHERS[3]})
    assert str(refused.value).endswith(
        "2 of 5 images are under several labels, more than 1%. "
        "Remove each from all labels but the right one: dog/2.jpg, cat/3.jpg"
    )


def test_a_refusal_fits_into_the_reason_that_sagemaker_keeps() -> None:
    copies = {f"cat/{number}{'x' * 90}.jpg": JPEG for number in range(40)}
    groups = {f"dog/{number}{'x' * 90}.jpg": each for number, each in enumerate(OTHERS)}
    under_cat = {name.replace("dog", "cat"): each for name, each in groups.items()}
    with pytest.raises(SourceError) as refused:
        checked(copies | groups | under_cat | {"dog/copy.jpg": JPEG})
    assert len(str(refused.value)) <= 1024
    assert "Remove each" in str(refused.value)
    assert "more" in str(refused.value)


def test_a_class_of_copies_alone_is_refused() -> None:
    with pytest.raises(SourceError, match="class 'cat' has only copies of one image; two"):
        checked(four() | {"cat/2.jpg": OTHERS[0]})


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
