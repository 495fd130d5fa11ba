"""Brings a data set into the image-folder layout and uploads it to Facet's bucket.

Each picture becomes the object datasets/<name>/<channel>/<label>/<file>. Run it again to upload
only what is missing or has changed; what the source no longer has is removed.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from tqdm import tqdm

from facet.errors import FacetError
from facet.manifest import MODEL_NAME
from training.data import bucket, sources
from training.data.bucket import Bucket
from training.data.layout import CHANNELS, Source, SourceError
from training.data.sources import CIFAR10, SIGN_LANGUAGE
from training.data.upload import CONFIG, Change, synchronise

HOME = Path(__file__).resolve().parents[2] / ".facet"
INTERRUPTED = 130
"""The exit code of a program that Ctrl-C ended: 128 and the signal's number."""

SOURCES = f"""\
sources:
  {CIFAR10}        CIFAR-10: --from, else cifar10_jpeg.zip or cifar10/ in FACET_DATA, else
                 downloaded by Keras
  {SIGN_LANGUAGE}  Sign Language Digits: --from, else sign_language/ in FACET_DATA
  DIR            your folder or .zip of pictures: DIR/<class>/<picture>, or with channels
                 DIR/train/<class>/<picture>, DIR/validation/… and DIR/test/…

exit codes: 0 done, 1 failed (the message says why), 2 wrong arguments, {INTERRUPTED} interrupted
"""


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for; `data` is where FACET_DATA points."""

    source: str
    name: str
    place: Path | None
    data: Path | None


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m training.data") -> int:
    """The command; the exit code."""
    options = _parser(prog).parse_args(arguments)
    try:
        wanted = _wanted(options, os.environ)
        with _opened(wanted) as source:
            print(f"{wanted.name}: {_described(source)}", flush=True)
            target = _bucket(options)
            change = _upload(source, target, f"datasets/{wanted.name}/")
    except (FacetError, BotoCoreError, ClientError, Boto3Error) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; run it again to upload the rest", file=sys.stderr)
        return INTERRUPTED
    print(f"s3://{target.name}/datasets/{wanted.name}/: {_told(change)}")
    return 0


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        epilog=SOURCES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "source", metavar=f"{CIFAR10}|{SIGN_LANGUAGE}|DIR", help="what to upload; see below"
    )
    parser.add_argument("--name", help="the data set's name (default: the source's own)")
    parser.add_argument("--from", dest="place", type=Path, help="the folder or zip to take it from")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--bucket", help="upload to this bucket")
    where.add_argument("--stack", help="upload to the bucket of this deployed stack")
    where.add_argument(
        "--home",
        type=Path,
        default=HOME,
        help="upload to the local stack that keeps its state here (default: .facet)",
    )
    return parser


def _wanted(options: argparse.Namespace, environment: Mapping[str, str]) -> Wanted:
    own = options.source in (CIFAR10, SIGN_LANGUAGE)
    if options.place and not own:
        raise SourceError(f"--from is for {CIFAR10} and {SIGN_LANGUAGE}; name the folder alone")
    name = options.name or (
        options.source if own else Path(options.source).resolve().name.removesuffix(".zip")
    )
    if not MODEL_NAME.fullmatch(name):
        raise SourceError(
            f"'{name}' is no name for a data set: it has a-z, 0-9 and '-', begins with none of "
            "'-', and has at most 63 of them. Choose one with --name"
        )
    data = environment.get("FACET_DATA")
    return Wanted(options.source, name, options.place, Path(data) if data else None)


@contextmanager
def _opened(wanted: Wanted) -> Iterator[Source]:
    path = sources.local_copy(wanted.source, wanted.place, wanted.data)
    if path is None:
        print("loading CIFAR-10 with Keras ...", flush=True)
        yield sources.cifar10()
        return
    # The repository of the sign language digits has its pictures in a folder of that name.
    inside = "Dataset" if wanted.source == SIGN_LANGUAGE else ""
    with sources.opened(path, inside=inside) as source:
        yield source


def _bucket(options: argparse.Namespace) -> Bucket:
    if options.bucket:
        return bucket.by_name(options.bucket, CONFIG)
    if options.stack:
        return bucket.of_deployed(options.stack, CONFIG)
    return bucket.of_local(options.home, CONFIG)


def _upload(source: Source, target: Bucket, prefix: str) -> Change:
    with tqdm(
        total=len(source.pictures),
        unit=" pictures",
        disable=None,  # where nobody watches
    ) as bar:
        done: Callable[[], object] = bar.update
        return synchronise(source.pictures, target, prefix, done)


def _described(source: Source) -> str:
    counts = Counter(picture.channel for picture in source.pictures)
    classes = len({picture.label for picture in source.pictures})
    channels = ", ".join(f"{counts[each]:,} {each}" for each in CHANNELS if each in counts)
    return f"{channels} pictures of {classes} classes, {source.skipped:,} other files skipped"


def _told(change: Change) -> str:
    return (
        f"{change.uploaded:,} uploaded ({change.bytes / 1e6:.1f} MB), "
        f"{change.unchanged:,} unchanged, {change.removed:,} removed"
    )
