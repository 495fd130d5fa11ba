"""facet/keys.py: the names of things in the models' bucket."""

import subprocess
import sys

import pytest

from facet import keys

ID = "0123456789ab"


def test_keys_have_the_documented_form() -> None:
    assert keys.upload_key("cifar") == "mme/cifar.tar.gz"
    assert keys.version_key("cifar", ID) == f"mme/cifar/{ID}.tar.gz"
    assert keys.target_model("cifar", ID) == f"cifar/{ID}.tar.gz"
    assert keys.rejected_key("cifar", ID) == f"rejected/cifar/{ID}.tar.gz"
    assert keys.report_key("cifar", ID) == f"rejected/cifar/{ID}.json"
    assert keys.lite_key("cifar", ID) == f"lite/cifar/{ID}.tflite"
    assert keys.head_key("cifar", ID) == f"heads/cifar/{ID}.npz"
    assert keys.dataset_prefix("cats") == "datasets/cats/"
    assert keys.dataset_prefix("cats", "train") == "datasets/cats/train/"
    assert keys.training_prefix("monday", "cats") == "training/monday/cats"
    assert keys.training_code_key(ID) == f"code/{ID}/sourcedir.tar.gz"
    assert keys.version_id(ID * 5 + "cdef") == ID


def test_an_upload_key_is_parsed_into_its_model() -> None:
    assert keys.parse_upload_key("mme/sign-language.tar.gz") == "sign-language"


@pytest.mark.parametrize(
    "key",
    [
        "mme/.tar.gz",
        "mme/Cifar.tar.gz",
        "mme/-cifar.tar.gz",
        "mme/cifar.tar.gz\n",
        f"mme/{'m' * 64}.tar.gz",
        "mme/mme/cifar.tar.gz",
        "mme/cifar.zip",
        "cifar.tar.gz",
        "mme/cifar",
        f"mme/cifar/{ID}.tar.gz",
    ],
)
def test_other_keys_name_no_upload(key: str) -> None:
    assert keys.parse_upload_key(key) is None


def test_a_version_key_is_parsed_into_model_and_version() -> None:
    assert keys.parse_version_key(f"mme/cifar/{ID}.tar.gz") == ("cifar", ID)


def test_the_keys_of_what_is_kept_beside_an_artifact_are_parsed_too() -> None:
    assert keys.parse_lite_key(f"lite/cifar/{ID}.tflite") == ("cifar", ID)
    assert keys.parse_head_key(f"heads/cifar/{ID}.npz") == ("cifar", ID)
    for other in (f"heads/cifar/{ID}.tflite", f"lite/cifar/{ID}.npz", f"heads/{ID}.npz"):
        assert keys.parse_head_key(other) is None


@pytest.mark.parametrize(
    "key",
    [
        "mme/cifar.tar.gz",
        "mme/cifar/0123456789a.tar.gz",
        "mme/cifar/0123456789aB.tar.gz",
        f"mme/Cifar/{ID}.tar.gz",
        f"mme/a/b/{ID}.tar.gz",
        f"mme/cifar/{ID}.tar.gz.tar.gz",
        f"rejected/cifar/{ID}.tar.gz",
    ],
)
def test_other_keys_name_no_version(key: str) -> None:
    assert keys.parse_version_key(key) is None


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("mme/My Model.tar.gz", "My Model"),
        ("mme/a\nb.tar.gz", "a\nb"),
        ("mme/.tar.gz", ".tar.gz"),
        ("mme/cifar.tgz", "cifar.tgz"),
        ("mme/cifar.TAR.GZ", "cifar.TAR.GZ"),
        ("mme/cifar.tar.gz.part", "cifar.tar.gz.part"),
        ("mme/sub/cifar.tar.gz", "sub/cifar"),
        (f"mme/Cifar/{ID}.tar.gz", f"Cifar/{ID}"),
        ("mme/cifar.tar.gz", None),
        (f"mme/cifar/{ID}.tar.gz", None),
        ("mme/", None),
        ("mme/folder/", None),
        ("rejected/cifar.tar.gz", None),
    ],
)
def test_a_misnamed_upload_is_recognised_with_its_name(key: str, expected: str | None) -> None:
    assert keys.parse_misnamed_key(key) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("My Model", ["mme/My Model.tar.gz", "mme/My Model"]),
        (f"cats/{ID}", [f"mme/cats/{ID}"]),
        (f"cats/{ID}.tar.gz", [f"mme/cats/{ID}.tar.gz.tar.gz"]),
        ("cats.tar.gz", ["mme/cats.tar.gz.tar.gz"]),
    ],
)
def test_a_misnamed_upload_has_no_key_of_another_model(name: str, expected: list[str]) -> None:
    assert keys.misnamed_keys(name) == expected
    assert all(key.startswith(keys.misnamed_prefix(name)) for key in expected)


def test_every_misnamed_upload_has_a_name_that_fits_into_a_key() -> None:
    long = [keys.parse_misnamed_key(f"mme/{'ä' * 509}{end}") for end in "ab"]
    assert len(set(long)) == 2
    for name in long:
        assert name
        assert len(keys.rejected_key(name, ID).encode()) <= 1024


def test_importing_the_keys_does_not_import_pydantic() -> None:
    code = "import sys, facet.keys; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
