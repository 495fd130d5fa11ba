"""Names that every part of Facet shares: keys in the models' bucket, ids, files, image formats.

    mme/<model>.tar.gz                        an upload; onboarding reads it and removes it
    mme/<model>/<version>.tar.gz              a version's artifact; the endpoint loads it
    rejected/<model>/<version>.tar.gz, .json  a rejected upload, and the report with the reasons
    golden/<model>/<version>                  the image of a version's golden sample
    lite/<model>/<version>.tflite             the LiteRT model in a version's artifact
    heads/<model>/<version>.npz               the weights in a head's artifact
    inbox/<uuid>                              an image that is too large for a request's body
    datasets/<name>/<channel>/<label>/<file>  a data set to train on
    features/<data set>/<backbone>-<version>.npz   features of its images, for teaching
    weights/<name>/                           pretrained weights for training
    code/<digest>/sourcedir.tar.gz            the training code
    training/<execution>/<model>/             outputs and checkpoints of training jobs

template.yaml grants permissions and expires objects by the same prefixes. This module imports only
the standard library, because every cold start pays for it.
"""

import hashlib
import re
from typing import NamedTuple

ENDPOINT_PREFIX = "mme/"
"""Below it the endpoint finds its models (ModelDataUrl); uploads are right below it."""

REJECTED_PREFIX = "rejected/"
GOLDEN_PREFIX = "golden/"
LITE_PREFIX = "lite/"
HEADS_PREFIX = "heads/"
INBOX_PREFIX = "inbox/"
INBOX_KEY = re.compile(rf"{INBOX_PREFIX}[0-9A-Za-z._-]{{1,200}}")
"""What an upload in the inbox may be called. S3 rejects other names in many ways, such as
KeyTooLongError over 1,024 bytes."""

DATA_SETS_PREFIX = "datasets/"
FEATURES_PREFIX = "features/"
WEIGHTS_PREFIX = "weights/"

ARTIFACT = "model.tar.gz"
"""What reports call the artifact as a whole, and SageMaker a training job's output."""

ARTIFACT_SUFFIX = ".tar.gz"
LITE_SUFFIX = ".tflite"
HEAD_SUFFIX = ".npz"

MANIFEST = "facet.json"
"""The manifest's file, at the top of an artifact."""

MODEL_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
"""What a model may be called; the whole name must match."""

NAME_PART = re.compile(r"[a-z0-9-]{1,63}")
"""A part of a model's name."""

MODEL_NAME_RULE = (
    "a model's name has 1 to 63 lower-case letters (a to z), digits and hyphens, and begins with a "
    "letter or a digit"
)

LONGEST_NAME = 900
"""Bytes of a misnamed upload's name: with the rest, a key has at most 1,024."""

CUT = "…"
"""In the name of a misnamed upload that was too long, before the digest of the whole."""

VERSION_ID_LENGTH = 12
VERSION_ID = re.compile(rf"[0-9a-f]{{{VERSION_ID_LENGTH}}}")
"""A version: the first hex digits of the SHA-256 of its artifact."""

IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
"""The image formats that are decoded, by Pillow's names."""

IMAGE_TYPES = tuple(f"image/{name.lower()}" for name in IMAGE_FORMATS)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")

JOINERS = "\u200c\u200d"
"""The zero-width non-joiner and joiner, which emoji and words of many scripts have inside."""


def is_printable(text: str) -> bool:
    """As str.isprintable, but takes joiners between other characters."""
    return (
        text.strip(JOINERS) == text
        and text.translate(dict.fromkeys(map(ord, JOINERS))).isprintable()
    )


class VersionKey(NamedTuple):
    """The model and the version id in the key of a version's artifact."""

    model: str
    version: str


def version_id(sha256: str) -> str:
    """The version id of an artifact with this SHA-256 in hex."""
    return sha256[:VERSION_ID_LENGTH]


def upload_key(model: str) -> str:
    """Where an artifact is uploaded to become a version of the model."""
    return f"{ENDPOINT_PREFIX}{model}{ARTIFACT_SUFFIX}"


def target_model(model: str, version: str) -> str:
    """SageMaker's TargetModel of a version: its key under the endpoint's prefix."""
    return f"{model}/{version}{ARTIFACT_SUFFIX}"


def version_key(model: str, version: str) -> str:
    """Where the endpoint finds a version's artifact."""
    return ENDPOINT_PREFIX + target_model(model, version)


def rejected_key(model: str, version: str) -> str:
    """Where a rejected upload is moved to."""
    return REJECTED_PREFIX + target_model(model, version)


def report_key(model: str, version: str) -> str:
    """The JSON report that says why a version was rejected."""
    return f"{REJECTED_PREFIX}{model}/{version}.json"


def golden_key(model: str, version: str) -> str:
    """The image of a version's golden sample."""
    return f"{GOLDEN_PREFIX}{model}/{version}"


def lite_key(model: str, version: str) -> str:
    """The LiteRT model in a version's artifact."""
    return f"{LITE_PREFIX}{model}/{version}{LITE_SUFFIX}"


def head_key(model: str, version: str) -> str:
    """The weights in a head's artifact, which predictions read."""
    return f"{HEADS_PREFIX}{model}/{version}{HEAD_SUFFIX}"


def dataset_prefix(name: str, channel: str = "") -> str:
    """The prefix of a data set's objects, or of those of one of its channels."""
    prefix = f"{DATA_SETS_PREFIX}{name}/"
    return f"{prefix}{channel}/" if channel else prefix


def features_key(dataset: str, backbone: str, version: str) -> str:
    """The features of a data set's images, by a version of a backbone."""
    return f"{FEATURES_PREFIX}{dataset}/{backbone}-{version}.npz"


def training_prefix(execution: str, model: str) -> str:
    """The prefix of what the training jobs of one execution write for a model; no `/` at its end.

    It is an S3OutputPath: SageMaker adds `/<job>/output/model.tar.gz` to it.
    """
    return f"training/{execution}/{model}"


def training_code_key(digest: str) -> str:
    """Where training code with this digest is."""
    return f"code/{digest}/sourcedir.tar.gz"


def parse_misnamed_key(key: str) -> str | None:
    """The name of an upload under the endpoint's prefix that no model can have; None for others.

    It is what stands where a model's name would, such as `My Model`, `sub/cats` or `cats.tgz`.
    Beyond LONGEST_NAME bytes it is cut, with a digest of the whole. A key that ends with `/` is a
    folder that the S3 console made.
    """
    if not key.startswith(ENDPOINT_PREFIX) or key.endswith("/"):
        return None
    if parse_upload_key(key) or parse_version_key(key):
        return None
    name = key.removeprefix(ENDPOINT_PREFIX).removesuffix(ARTIFACT_SUFFIX) or ARTIFACT_SUFFIX
    if len(name.encode()) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:VERSION_ID_LENGTH]
    return f"{name.encode()[: LONGEST_NAME // 2].decode(errors='ignore')}{CUT}{digest}"


def parse_upload_key(key: str) -> str | None:
    """The model whose upload this is; None for any other key."""
    name = key.removeprefix(ENDPOINT_PREFIX).removesuffix(ARTIFACT_SUFFIX)
    return name if key == upload_key(name) and MODEL_NAME.fullmatch(name) else None


def misnamed_keys(name: str) -> list[str]:
    """The keys under which an upload may have this name, which no model can have.

    None for a name that was cut; see `misnamed_prefix`.
    """
    keys = [upload_key(name), f"{ENDPOINT_PREFIX}{name}"]
    return [key for key in keys if parse_misnamed_key(key) == name]


def misnamed_prefix(name: str) -> str:
    """What the key of every misnamed upload with this name begins with. Other keys may, too:
    only those are its own for which `parse_misnamed_key` returns the name.
    """
    start, cut, _ = name.rpartition(CUT)
    if cut and len(start.encode()) > LONGEST_NAME // 2 - 4:  # less than a character was left out
        return ENDPOINT_PREFIX + start
    return ENDPOINT_PREFIX + name


def parse_version_key(key: str) -> VersionKey | None:
    """The version whose artifact this is; None for any other key."""
    found = _version(key.removeprefix(ENDPOINT_PREFIX).removesuffix(ARTIFACT_SUFFIX))
    return found if found and key == version_key(*found) else None


def parse_lite_key(key: str) -> VersionKey | None:
    """The version whose LiteRT model this is; None for any other key."""
    found = _version(key.removeprefix(LITE_PREFIX).removesuffix(LITE_SUFFIX))
    return found if found and key == lite_key(*found) else None


def parse_head_key(key: str) -> VersionKey | None:
    """The version whose head's weights these are; None for any other key."""
    found = _version(key.removeprefix(HEADS_PREFIX).removesuffix(HEAD_SUFFIX))
    return found if found and key == head_key(*found) else None


def _version(name: str) -> VersionKey | None:
    """The version in `<model>/<version>`."""
    model, _, version = name.partition("/")
    if not (MODEL_NAME.fullmatch(model) and VERSION_ID.fullmatch(version)):
        return None
    return VersionKey(model, version)
