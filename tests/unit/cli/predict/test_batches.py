"""Images go together as far as a request takes them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.client.api import JSON, RAW
from cli.predict.batches import EncodedImage, batches, body
from predict.http.body import read_images as read


def images(*sizes: int) -> list[EncodedImage]:
    return [
        EncodedImage(str(number), bytes([number % 256]) * size) for number, size in enumerate(sizes)
    ]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1] * 5, [3, 2]),
        ([60, 60], [1, 1]),
        ([90, 1, 1], [1, 2]),
        ([1, 1, 99], [2, 1]),
    ],
)
def test_as_many_as_fit(sizes: list[int], expected: list[int]) -> None:
    made = batches(images(*sizes), max_images=3, max_body=100)
    assert [len(each) for each in made] == expected


@given(st.lists(st.integers(1, 200), max_size=60))
def test_no_body_is_over_the_limit_and_the_api_reads_what_was_sent(sizes: list[int]) -> None:
    given = images(*sizes)
    sent: list[object] = []
    for each in batches(given, max_body=200):
        content, content_type = body(each)
        assert len(content) <= 200
        sent += read(content_type, content).images
    assert sent == [each.data for each in given]


def test_one_goes_as_it_is_and_several_as_json() -> None:
    one, two = images(3, 3)
    assert body((one,)) == (one.data, RAW)
    content, content_type = body((one, two))
    assert content_type == JSON
    assert len(json.loads(content)["images"]) == 2
