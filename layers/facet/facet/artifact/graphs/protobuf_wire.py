"""Walks the bytes of a protocol buffer in constant memory, before anything is parsed.

A parsed message takes up to forty times its bytes, and protobuf's two implementations differ in
how deep they follow nested ones. Untrusted bytes are therefore checked here first.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types; proto3 has no groups (3 and 4). protobuf.dev, "Encoding"."""

FIXED = {FIXED64: 8, FIXED32: 4}
MAX_NUMBER = (1 << 29) - 1
ONE_BYTE = 0x7F  # the largest varint of one byte, as most are
MAX_VARINT = 70  # bits in ten bytes

DEPTH = 60
"""Levels of nested messages; protobuf's own limit is 100, TensorFlow's files have about ten."""

Field = tuple[int, int, int, int, int]
"""A field's number, wire type, where it begins, where its content begins, and where it ends."""

Known = dict[int, "Known"]


class Malformed(Exception):
    """The bytes are not a message, or exceed a limit."""


def fields(data: bytes, begin: int, end: int) -> Iterator[Field]:
    """The fields of the message in data[begin:end], not nested ones. Raises Malformed."""
    at = begin
    while at < end:
        key, content = data[at], at + 1
        if key > ONE_BYTE:
            key, content = _varint(data, at, end)
        number, kind = key >> 3, key & 7
        if not 0 < number <= MAX_NUMBER:
            raise Malformed(f"there is a field {number} at byte {at}")
        if kind == LENGTH:
            length = data[content] if content < end else ONE_BYTE + 1
            content += 1
            if length > ONE_BYTE:
                length, content = _varint(data, content - 1, end)
            after = content + length
        elif kind == VARINT:
            after = _varint(data, content, end)[1]
        elif kind in FIXED:
            after = content + FIXED[kind]
        else:
            raise Malformed(f"there is a field of wire type {kind} at byte {at}")
        if after > end:
            raise Malformed(f"the field at byte {at} ends beyond its message")
        yield number, kind, at, content, after
        at = after


def check(data: bytes, kind: type[Message], most: int) -> None:
    """Walks the message and, as far as `kind` describes them, those in it.

    Raises Malformed if they are damaged, nested deeper than DEPTH, or have over `most` fields.
    """
    open_ones = [(fields(data, 0, len(data)), _known(kind.DESCRIPTOR, {}))]
    left = most
    while open_ones:
        reader, known = open_ones[-1]
        for number, wire, _, content, end in reader:
            left -= 1
            if left < 0:
                raise Malformed(f"it has over {most:,} fields")
            inner = known.get(number) if wire == LENGTH else None
            if inner is None or content == end:
                continue
            if len(open_ones) == DEPTH:
                raise Malformed(f"its messages are nested more than {DEPTH} deep")
            open_ones.append((fields(data, content, end), inner))
            break
        else:
            open_ones.pop()


def without(data: bytes, begin: int, end: int, number: int) -> bytes:
    """The message in data[begin:end] without one of its fields."""
    return b"".join(
        data[start:after]
        for found, _, start, _, after in fields(data, begin, end)
        if found != number
    )


def parts(data: bytes, begin: int, end: int, *path: int) -> Iterator[tuple[int, int]]:
    """Where the messages at a path of field numbers begin and end, from data[begin:end]."""
    for number, wire, _, content, after in fields(data, begin, end):
        if number != path[0] or wire != LENGTH:
            continue
        if len(path) == 1:
            yield content, after
        else:
            yield from parts(data, content, after, *path[1:])


def _known(kind: Any, seen: dict[str, Known]) -> Known:
    """Which field numbers hold messages, and what those hold; a message may hold its like.

    `kind` is a descriptor: each of protobuf's implementations has a type of its own for them.
    """
    if kind.full_name not in seen:
        known = seen[kind.full_name] = {}
        for field in kind.fields:
            if field.message_type is not None:
                known[field.number] = _known(field.message_type, seen)
    return seen[kind.full_name]


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end and shift < MAX_VARINT:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte <= ONE_BYTE:
            return value, at
        shift += 7
    raise Malformed(f"the number at byte {at} does not end")
