"""Data sets: a folder or zip → the layout → the bucket; errors name the file."""

import io
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import numpy as np
import pytest
from moto import mock_aws
from PIL import Image

from facet.preprocess import Pixels
from training.data import readers, upload
from training.data.layout import Entry, ImageFolder, LabelledImage, SourceError, arrange
from training.data.readers import cifar10, find_local_copy, open_path
from training.data.upload import CONCURRENCY, Bucket, Change, synchronise

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "facet-data"
LAYOUT = ("train/cat/1.jpg", "train/dog/1.png", "validation/cat/2.JPG", "test/dog/3.webp")


def source(*paths: str) -> ImageFolder:
    """Arranges paths; one that ends in a slash is a folder."""
    return arrange(
        Entry(tuple(path.removesuffix("/").split("/")), None if path.endswith("/") else path.encode)
        for path in paths
    )


def paths(found: ImageFolder) -> list[str]:
    return [image.path for image in found.images]


def folder(root: Path, names: Sequence[str]) -> Path:
    """Files whose content is their own name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


# --- the layout -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (LAYOUT, LAYOUT),
        (["cat/1.jpg", "dog/1.gif"], ["train/cat/1.jpg", "train/dog/1.gif"]),
        (["a/b/cat/1.jpg", "a/b/dog/1.bmp"], ["train/cat/1.jpg", "train/dog/1.bmp"]),
        ([f"set/{path}" for path in LAYOUT], LAYOUT),
        (["train/cat/1.jpg", "val/cat/2.jpg"], ["train/cat/1.jpg", "validation/cat/2.jpg"]),
        (["train/1.jpg", "test/1.jpg"], ["train/train/1.jpg", "train/test/1.jpg"]),
        (["train/größe 1/é.jpg"], ["train/größe 1/é.jpg"]),
        (
            ["Train/cat/1.jpg", "valid/cat/2.jpe", "Test/cat/3.jfif"],
            ["train/cat/1.jpg", "validation/cat/2.jpe", "test/cat/3.jfif"],
        ),
        (
            ["x/training_set/cat/1.jpg", "x/test_set/cat/2.jpg", "x/Validation-Set/cat/3.jpg"],
            ["train/cat/1.jpg", "test/cat/2.jpg", "validation/cat/3.jpg"],
        ),
        (
            ["Training/cat/1.jpg", "TESTING/cat/2.jpg"],
            ["train/cat/1.jpg", "test/cat/2.jpg"],
        ),
        (
            ["train/caf\u00e9/1.jpg", "test/cafe\u0301/e\u0301.jpg"],
            ["train/caf\u00e9/1.jpg", "test/caf\u00e9/\u00e9.jpg"],
        ),
        (["cat/1.heic", "dog/1.AVIF"], ["train/cat/1.heic.jpg", "train/dog/1.AVIF.jpg"]),
    ],
)
def test_assigns_channel_and_class_from_the_path(
    given: Sequence[str], expected: Sequence[str]
) -> None:
    assert paths(source(*given)) == list(expected)


def test_other_files_are_skipped_with_the_reason() -> None:
    found = source(*LAYOUT, "README.md", "train/cat/2.TIF", "LICENSE", "train/cat/labels.csv")
    assert paths(found) == list(LAYOUT)
    assert [(each.path, each.reason) for each in found.skipped] == [
        ("README.md", "not an image"),
        ("train/cat/2.TIF", "TIF is not read; convert it to PNG or JPEG"),
        ("LICENSE", "not an image"),
        ("train/cat/labels.csv", "not an image"),
    ]


@pytest.mark.parametrize(
    "junk",
    ["train/.DS_Store", "__MACOSX/x.jpg", "train/cat/._1.jpg", "train/cat/@eaDir/1.jpg",
     "train/cat/Thumbs.db", "train/desktop.ini", ".git/train/cat/1.jpg"],
)  # fmt: skip
def test_what_systems_leave_is_ignored(junk: str) -> None:
    found = source(*LAYOUT, junk)
    assert paths(found) == list(LAYOUT)
    assert found.skipped == ()


def test_labels_may_have_joiners_inside() -> None:
    labels = ["\N{MAN}\u200d\N{GIRL}", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"]
    assert {each.label for each in source(*(f"{each}/1.jpg" for each in labels)).images} == {
        *labels
    }
    with pytest.raises(SourceError, match="not a valid path"):
        source("\u200d/1.jpg")


def test_the_content_decides_about_a_file_without_a_suffix() -> None:
    contents = {
        "cat/1": b"\xff\xd8\xff",
        "cat/IMG 2.0 b": b"BM",
        "dog/3": b"RIFF....WEBP",
        "dog/4": b"?",
    }
    found = arrange(
        Entry(tuple(name.split("/")), lambda content=content: content)  # type: ignore[misc]
        for name, content in contents.items()
    )
    assert paths(found) == ["train/cat/1", "train/cat/IMG 2.0 b", "train/dog/3"]
    assert [each.path for each in found.skipped] == ["dog/4"]


def test_all_empty_classes_are_named_with_what_was_skipped() -> None:
    with pytest.raises(
        SourceError, match=r"class 'fox' has no image.*class 'owl' has no image"
    ) as e:
        source(*LAYOUT, "train/fox/", "train/owl/1.tif")
    assert "('train/owl/1.tif': TIF is not read" in str(e.value)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ([], "contains no image"),
        (["cat/readme.txt"], "contains no image"),
        (["1.jpg", "2.jpg"], "contains no class folders"),
        (["test/cat/1.jpg"], "no channel 'train'"),
        ([*LAYOUT, "train/fox/"], "class 'fox' has no image in channel 'train'"),
        ([*LAYOUT, "test/cat/notes.txt"], "class 'cat' has no image in channel 'test'"),
        (["cat/1.jpg", "fox/"], "class 'fox' has no image: add images, or delete the folder$"),
        ([*LAYOUT, "train/1.jpg"], "'train/1.jpg' is not in a class folder"),
        ([*LAYOUT, "extra/cat/1.jpg"], "'extra/cat/1.jpg' is not in a class folder"),
        ([*LAYOUT, "train/cat/more/1.jpg"], "'train/cat/more/1.jpg' is not in a class folder"),
        (["a/cat/1.jpg", "b/cat/1.jpg"], "the other images are at a/<class>/<image>"),
        (["train/cat/1.jpg", "train/cat/1.jpg"], "two images 'train/cat/1.jpg'"),
        (["train/cat/1.jpg", "val/cat/1.jpg", "validation/cat/1.jpg"], "two images"),
        (["../train/cat/1.jpg"], "not a valid path"),
        (["/train/cat/1.jpg"], "not a valid path"),
        (["train/../1.jpg"], "not a valid path"),
        (["train//1.jpg"], "not a valid path"),
        (["train/a\\b/1.jpg"], "not a valid path"),
        (["train/cat/\x1b[2J.jpg"], r"\\x1b\[2J"),
        (["train/cat/\udcff.jpg"], "not a valid path"),
        (["train/cat /1.jpg"], "not a valid path"),
        ([f"train/cat/{'x' * 252}.jpg"], "not a valid path"),
    ],
)
def test_rejects_an_invalid_layout(given: list[str], problem: str) -> None:
    with pytest.raises(SourceError, match=problem):
        source(*given)


# --- folders and zips -------------------------------------------------------------------------


def test_a_folder_and_its_zip_are_the_same_source(tmp_path: Path) -> None:
    root = folder(tmp_path / "set", [*LAYOUT, "README.md", ".git/train/cat/9.jpg"])
    archive = packed(tmp_path / "set.zip", {f"set/{name}": name.encode() for name in LAYOUT})
    for path, skipped in ((root, 1), (archive, 0)):
        with open_path(path) as found:
            assert {each.path: each.read().decode() for each in found.images} == {
                name: name for name in LAYOUT
            }
            assert len(found.skipped) == skipped


def test_rejects_an_empty_class_in_a_folder_or_zip(tmp_path: Path) -> None:
    (folder(tmp_path / "set", LAYOUT) / "train/fox").mkdir()
    archive = packed(tmp_path / "set.zip", {"cat/1.jpg": b"", "fox/": b""})
    for path in (tmp_path / "set", archive):
        with pytest.raises(SourceError, match=f"{path}: class 'fox' has no image"), open_path(path):
            pass


def test_follows_linked_folders_but_rejects_cycles(tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    (root / "cat").symlink_to(folder(tmp_path / "elsewhere", ["1.jpg"]))
    with open_path(root) as found:
        assert paths(found) == ["train/cat/1.jpg"]
    (tmp_path / "elsewhere/again").symlink_to(root)
    with pytest.raises(SourceError, match="link to a folder that contains it"), open_path(root):
        pass


def test_rejects_a_path_that_is_not_a_folder_or_zip(tmp_path: Path) -> None:
    (tmp_path / "set.tar").write_bytes(b"no zip")
    with (
        pytest.raises(SourceError, match="not a folder or a zip"),
        open_path(tmp_path / "set.tar"),
    ):
        pass
    with pytest.raises(SourceError, match="no such folder or zip"), open_path(tmp_path / "none"):
        pass


def test_rejects_a_link_in_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("train/cat/1.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.writestr(link, "/etc/hostname")
    with pytest.raises(SourceError, match=r"1\.jpg' is a link"), open_path(tmp_path / "set.zip"):
        pass


def test_an_error_names_a_damaged_image_in_a_zip(tmp_path: Path) -> None:
    path = packed(tmp_path / "set.zip", {"cat/1.jpg": b"an image" * 20})
    content = bytearray(path.read_bytes())
    content[len("cat/1.jpg") + 34] ^= 0xFF  # behind the member's header of 30 bytes and its name
    path.write_bytes(content)
    with open_path(path) as found, pytest.raises(SourceError, match=r"'cat/1\.jpg' cannot be read"):
        found.images[0].read()


def test_rejects_a_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_IMAGE", 1 << 20)
    bomb = bytes((1 << 20) + 1)
    path = packed(tmp_path / "set.zip", {"cat/1.jpg": bomb, "cat/2.jpg": bomb[1:]})
    assert path.stat().st_size < 5000
    with open_path(path) as found:
        with pytest.raises(SourceError, match="the limit of an image"):
            found.images[0].read()
        assert found.images[1].read() == bomb[1:]


# --- the known data sets ----------------------------------------------------------------------


def test_finds_local_copies_of_known_data_sets(tmp_path: Path) -> None:
    folder(tmp_path, ["cifar10/x", "cifar10_jpeg.zip", "sign_language/x"])
    assert find_local_copy("cifar10", None, tmp_path) == tmp_path / "cifar10_jpeg.zip"
    assert find_local_copy("sign-language", None, tmp_path) == tmp_path / "sign_language"
    assert find_local_copy("cifar10", Path("mine"), tmp_path) == Path("mine")
    assert find_local_copy("some/folder", None, tmp_path) == Path("some/folder")
    assert find_local_copy("cifar10", None, None) is None
    with pytest.raises(SourceError, match=r"no copy of the sign language digits.*--from"):
        find_local_copy("sign-language", None, tmp_path / "empty")


def test_reads_only_the_dataset_folder_of_the_sign_language_repository(tmp_path: Path) -> None:
    names = ["Dataset/0/IMG_1.JPG", "Dataset/1/IMG_2.JPG", "Examples/example_0.JPG", "README.md"]
    with open_path(folder(tmp_path, names), subfolder="Dataset") as found:
        assert paths(found) == ["train/0/IMG_1.JPG", "train/1/IMG_2.JPG"]


def arrays(count: int) -> tuple[Pixels, Pixels]:
    """Arrays like those of Keras's loader: the classes are a column."""
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return images, (np.arange(count, dtype=np.uint8) % 10)[:, None]


def test_cifar10_from_keras_is_lossless() -> None:
    found = cifar10(lambda: (arrays(12), arrays(10)))
    names = paths(found)
    assert names[:2] == ["train/airplane/0000.png", "train/automobile/0000.png"]
    assert names[10:13] == [
        "train/airplane/0001.png",
        "train/automobile/0001.png",
        "test/airplane/0000.png",
    ]
    for image, pixels in zip(found.images, arrays(12)[0], strict=False):
        assert (np.asarray(Image.open(io.BytesIO(image.read()))) == pixels).all()


def test_a_failed_download_says_how_to_use_a_local_copy() -> None:
    def load() -> readers.Loaded:
        raise Exception("URL fetch failure")

    with pytest.raises(SourceError, match=r"URL fetch failure.*--from.*FACET_DATA"):
        cifar10(load)


def test_missing_keras_says_how_to_install_it() -> None:
    def load() -> readers.Loaded:
        raise ModuleNotFoundError("No module named 'keras'")

    with pytest.raises(SourceError, match=r"No module named 'keras'.*make training.*--from"):
        cifar10(load)


# --- the bucket -------------------------------------------------------------------------------


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator["S3Client"]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        yield client


def objects(s3: "S3Client", prefix: str = "") -> dict[str, bytes]:
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {
        each["Key"]: s3.get_object(Bucket=BUCKET, Key=each["Key"])["Body"].read() for each in listed
    }


class Watched:
    """Images that count how many of them are read and not yet uploaded."""

    def __init__(self, count: int) -> None:
        self.images = [
            LabelledImage("train", "cat", f"{number:03}.jpg", self._read) for number in range(count)
        ]
        self.read = self.done = self.most = 0

    def _read(self) -> bytes:
        self.read += 1
        self.most = max(self.most, self.read - self.done)
        return f"{self.read}".encode()

    def uploaded(self) -> None:
        self.done += 1


def test_a_second_run_uploads_changes_and_removes_missing_images(s3: "S3Client") -> None:
    def run(contents: dict[str, bytes]) -> Change:
        images = [
            LabelledImage("train", "cat", name, lambda content=content: content)  # type: ignore[misc]
            for name, content in contents.items()
        ]
        return synchronise(images, Bucket(BUCKET, s3), "datasets/cats/", lambda: None)

    s3.put_object(Bucket=BUCKET, Key="datasets/cats-2/train/cat/1.jpg", Body=b"another's")
    assert run({"1.jpg": b"one", "2.jpg": b"two", "3.jpg": b"three"}) == Change(3, 11, 0, 0)
    assert run({"1.jpg": b"one", "2.jpg": b"TWO", "4.jpg": b"four"}) == Change(2, 7, 1, 1)
    assert objects(s3) == {
        "datasets/cats-2/train/cat/1.jpg": b"another's",
        "datasets/cats/train/cat/1.jpg": b"one",
        "datasets/cats/train/cat/2.jpg": b"TWO",
        "datasets/cats/train/cat/4.jpg": b"four",
    }


def test_lists_and_removes_objects_in_several_requests(
    s3: "S3Client", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "20")
    monkeypatch.setattr(upload, "MAX_DELETED", 15)
    bucket = Bucket(BUCKET, s3)
    for number in range(33):
        s3.put_object(Bucket=BUCKET, Key=f"datasets/cats/train/cat/{number}.jpg", Body=b"")
    kept = [LabelledImage("train", "cat", "new.jpg", lambda: b"new")]
    assert synchronise(kept, bucket, "datasets/cats/", lambda: None).removed == 33
    assert objects(s3) == {"datasets/cats/train/cat/new.jpg": b"new"}


def test_an_image_is_sent_without_asking_s3_first(s3: "S3Client") -> None:
    """`Expect: 100-continue` takes a round trip for each image."""
    headers: list[dict[str, object]] = []
    s3.meta.events.register(
        "request-created.s3.PutObject", lambda request, **_: headers.append(dict(request.headers))
    )
    image = LabelledImage("train", "cat", "1.jpg", lambda: b"one")
    for prefix in ("datasets/cats/", "datasets/dogs/"):
        synchronise([image], Bucket(BUCKET, s3), prefix, lambda: None)
    assert len(headers) == 2
    assert not [each for each in headers if "Expect" in each]


def test_the_number_of_images_in_memory_is_limited(s3: "S3Client") -> None:
    watched = Watched(5 * CONCURRENCY)
    synchronise(watched.images, Bucket(BUCKET, s3), "datasets/cats/", watched.uploaded)
    assert watched.done == 5 * CONCURRENCY
    assert watched.most <= 2 * CONCURRENCY + 1


def test_an_interrupted_upload_resumes_and_removes_nothing_before_its_end(s3: "S3Client") -> None:
    def interrupt() -> bytes:
        raise KeyboardInterrupt

    s3.put_object(Bucket=BUCKET, Key="datasets/cats/train/cat/old.jpg", Body=b"old")
    images = [
        LabelledImage("train", "cat", f"{number}.jpg", str(number).encode) for number in range(60)
    ]
    broken = [*images[:50], LabelledImage("train", "cat", "50.jpg", interrupt), *images[51:]]
    with pytest.raises(KeyboardInterrupt):
        synchronise(broken, Bucket(BUCKET, s3), "datasets/cats/", lambda: None)
    there = len(objects(s3)) - 1
    assert there > 0
    assert "datasets/cats/train/cat/old.jpg" in objects(s3)
    change = synchronise(images, Bucket(BUCKET, s3), "datasets/cats/", lambda: None)
    assert (change.uploaded, change.unchanged, change.removed) == (60 - there, there, 1)


# --- the real data ----------------------------------------------------------------------------


@pytest.mark.skipif("FACET_DATA" not in os.environ, reason="FACET_DATA names no data sets")
def test_reads_the_real_cifar10() -> None:
    data = Path(os.environ["FACET_DATA"])
    with open_path(data / "cifar10_jpeg.zip") as found:
        counts = Counter((each.channel, each.label) for each in found.images)
        assert set(counts.values()) == {5000, 1000}
        assert len(counts) == 20
        first = found.images[0]
        assert Image.open(io.BytesIO(first.read())).size == (32, 32)


@pytest.mark.skipif("FACET_DATA" not in os.environ, reason="FACET_DATA names no data sets")
def test_uploads_real_hand_signs_unchanged(s3: "S3Client") -> None:
    data = Path(os.environ["FACET_DATA"])
    with open_path(data / "sign_language") as found:
        some = found.images[::10]
        change = synchronise(some, Bucket(BUCKET, s3), "datasets/signs/", lambda: None)
        assert change.uploaded == len(some) == 207
        assert objects(s3) == {f"datasets/signs/{each.path}": each.read() for each in some}
