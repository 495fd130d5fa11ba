"""The training image's tag is one that AWS publishes."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[4]

IN_RELEASE_DATA = {
    "2.21.0-cpu-py312-amzn2023-sagemaker",
    "2.21-cpu-py312-amzn2023-sagemaker-v1",
    "2.21.0-cpu-py312-sagemaker",
    "2.21-cpu-py312-sagemaker",
}
"""aws/deep-learning-containers, docs/src/data/tensorflow-training/2.21-cpu-sagemaker.yml."""

IN_CHANGELOG = {"2.21-cpu-py312-amzn2023-sagemaker", "2.21.0-cpu-py312-amzn2023-sagemaker"}
"""aws/deep-learning-containers, docs/tensorflow/changelog/index.md, CPU tags."""


def tag() -> str:
    (found,) = re.findall(r"/tensorflow-training:(\S+)$", template(), re.MULTILINE)
    return str(found)


def template() -> str:
    return (ROOT / "template.yaml").read_text()


def test_both_of_awss_lists_have_the_tag() -> None:
    assert tag() in IN_RELEASE_DATA & IN_CHANGELOG


def test_the_image_has_the_tensorflow_with_which_the_tests_run() -> None:
    pins = (ROOT / "constraints.txt").read_text()
    (pinned,) = re.findall(r"^tensorflow-cpu==([0-9.]+)", pins, re.MULTILINE)
    assert tag().partition("-")[0] == pinned
