"""Checks the layout of an artifact: one version folder at the top, with a whole SavedModel, or with
a LiteRT model alone.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from itertools import islice

from facet.artifact.archive import GRAPH, LITERT
from facet.errors import Violation
from facet.keys import ARTIFACT, MANIFEST

NUMBER = re.compile(r"[0-9]+")
MAX_NUMBER = 2**63 - 1
"""TensorFlow Serving ignores folders with a higher one."""

WRAPPED = re.compile(r"(.+)/[0-9]+/saved_model\.pb")
LOOSE = re.compile(r"(|.+/)saved_model\.pb")
VARIABLES = re.compile(r"[0-9]+/variables/variables\.(?:index|data-([0-9]{5})-of-([0-9]{5}))")

NAMED = 3
"""Missing files that a violation names."""


def wrapper(files: Mapping[str, int]) -> str | None:
    """The folder around the version folder, if the artifact was packed one level too high."""
    if any(GRAPH.fullmatch(name) for name in files):
        return None
    return next((match[1] for name in files if (match := WRAPPED.fullmatch(name))), None)


def check(
    files: Mapping[str, int], restores: bool, folders: Collection[str] = ()
) -> Iterator[Violation]:
    """Violations in the files (name → size in bytes) and folders of a complete artifact.

    `restores` says whether the graph reads variables when it is loaded.
    """
    versions = {name.partition("/")[0] for name in (*files, *folders)}
    versions = {name for name in versions if NUMBER.fullmatch(name)}
    if len(versions) > 1:
        yield Violation(
            "several-version-folders",
            ", ".join(f"{version}/" for version in sorted(versions)[:NAMED]),
            f"the artifact has {len(versions)} version folders; the server loads the highest",
            "pack exactly one; each upload becomes a version of its own",
        )
    for version in versions:
        if int(version) > MAX_NUMBER:
            yield Violation(
                "no-version-folder",
                f"{version}/",
                f"the folder's number is over {MAX_NUMBER:,}",
                "name the version folder 1",
            )
    graphs = [name for name in files if GRAPH.fullmatch(name)]
    if not graphs and not any(LITERT.fullmatch(name) for name in files):
        yield _no_graph(files)
    for name in graphs:
        folder = name.partition("/")[0]
        parts = {each: size for each, size in files.items() if each.startswith(f"{folder}/")}
        yield from _variables(f"{folder}/variables/", parts, restores)


def _no_graph(files: Mapping[str, int]) -> Violation:
    if wrapped := wrapper(files):
        return Violation(
            "wrapper-folder",
            f"{wrapped}/",
            f"the version folder is inside '{wrapped}/'; it must be at the top",
            f"pack the folder's contents: tar -czf model.tar.gz -C {wrapped} .",
        )
    if loose := next((match for name in files if (match := LOOSE.fullmatch(name))), None):
        return Violation(
            "no-version-folder",
            loose[0],
            "the SavedModel is not in a folder whose name is a number",
            "move it into a folder named 1, and pack that folder beside facet.json",
        )
    return Violation(
        "no-version-folder",
        ARTIFACT,
        "there is no <digits>/saved_model.pb",
        "export a SavedModel into a folder named 1 and pack it beside facet.json",
    )


def _variables(place: str, files: Mapping[str, int], restores: bool) -> Iterator[Violation]:
    """Checks that the checkpoint is whole: an index, and every shard."""
    found = {name: match for name in files if (match := VARIABLES.fullmatch(name))}
    if not found:
        if restores:
            yield Violation(
                "variables-missing",
                place,
                "the graph restores variables, but the artifact has none",
                "pack the whole folder that the export wrote, with variables/",
            )
        return
    for name in islice((name for name in found if not files[name]), NAMED):
        yield Violation("variables-empty", name, "the file is empty", "export the model again")
    shards: dict[int, set[int]] = defaultdict(set)
    for match in found.values():
        if match[2]:
            shards[int(match[2])].add(int(match[1]))
    if f"{place}variables.index" not in found:
        yield _incomplete(f"{place}variables.index", "the index of the variables is missing")
    if len(shards) > 1:
        yield Violation(
            "variables-mixed",
            place,
            f"there are shards of {len(shards)} exports: of "
            + ", of ".join(f"{count:05}" for count in sorted(shards)[:NAMED]),
            "export into an empty folder, then pack it",
        )
    elif not shards:
        yield _incomplete(place, "there is an index, but no variables.data-… file")
    else:
        yield from _shards(place, *shards.popitem())


def _shards(place: str, count: int, present: set[int]) -> Iterator[Violation]:
    name = f"{place}variables.data-{{:05}}-of-{count:05}"
    lacking = count - len(present & set(range(count)))
    missing = islice((each for each in range(count) if each not in present), NAMED)
    if lacking:
        first = name.format(next(missing))
        others = [name.format(each).rpartition("/")[2] for each in missing]
        also = f"; {', '.join(others)} too" if others else ""
        yield _incomplete(first, f"{lacking:,} of {count:,} shards are missing{also}")
    if beyond := sorted(each for each in present if each >= count):
        yield Violation(
            "variables-mixed",
            name.format(beyond[0]),
            f"its number is beyond the {count:,} shards of the export",
            "export into an empty folder, then pack it",
        )


def _incomplete(place: str, problem: str) -> Violation:
    return Violation(
        "variables-incomplete",
        place,
        problem,
        "pack the whole folder that the export wrote, with every file of variables/",
    )


def has_manifest(files: Mapping[str, int]) -> bool:
    """Whether the artifact has a manifest, perhaps in the wrapper folder that `check` reports."""
    wrapped = wrapper(files)
    return MANIFEST in files or (wrapped is not None and f"{wrapped}/{MANIFEST}" in files)
