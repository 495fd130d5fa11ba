"""The benchmark of the predict function: both clients do the same work."""

import io
import json
from base64 import b64decode
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.predict import clients, coldstart, speed, synthetic_photo
from facet.settings import PREFIX, Settings
from tests.support.processes.waiting import LONG


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A JPEG of one colour, which no resize filter changes."""
    path = tmp_path / "plain.jpg"
    Image.new("RGB", (400, 300), (200, 100, 50)).save(path, "JPEG", quality=95)
    return path


def test_both_clients_send_the_same_image(plain: Path) -> None:
    spec = speed.spec(32)
    theirs = json.loads(clients.article_client(plain, spec)[0])["instances"]
    row = json.loads(clients.facet_client(plain, spec)[0])["instances"][0]
    pixels = np.frombuffer(b64decode(row["image"]["b64"]), np.uint8).reshape(32, 32, 3)
    values = np.asarray(theirs)
    assert values.shape == (1, 32, 32, 3)
    assert np.abs(values[0] * 255 - pixels).max() <= 1
    assert np.abs(pixels[16, 16].astype(int) - (200, 100, 50)).max() <= 2


def test_each_client_is_timed_step_by_step(plain: Path) -> None:
    measured = speed.measure(plain, 32, rounds=2)
    assert set(measured) == set(clients.CLIENTS)
    for each in measured.values():
        assert set(each.steps) == {"decode", "preprocess", "payload"}
        assert all(spent > 0 for spent in each.steps.values())


def test_the_table_has_medians_and_their_ratios() -> None:
    def runs(*seconds: float) -> speed.Timing:
        return speed.Timing.of(
            b"x" * int(seconds[0] * 1000), [{"decode": each} for each in seconds]
        )

    rows = speed.table({("large", 8): {"theirs": runs(9, 1, 2), "ours": runs(0.1, 0.9, 0.4)}})
    assert rows[-2].endswith("| theirs | 2000.00 | 2000.00 | 9,000 | 1 | 1 |")
    assert rows[-1].endswith("| ours | 400.00 | 400.00 | 100 | 5.0 | 90.0 |")


def test_the_synthetic_photo_is_reproducible_and_as_large_as_a_photo() -> None:
    data = synthetic_photo.jpeg((640, 480))
    assert data == synthetic_photo.jpeg((640, 480)) != synthetic_photo.jpeg((640, 480), seed=2)
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (640, 480)
    assert 0.1 < len(data) / (640 * 480) < 0.6


def test_reports_the_difference_for_each_decoding_scale() -> None:
    rows = speed.detail(synthetic_photo.jpeg((640, 480)), side=40)[2:]
    assert [row.split(" | ")[1] for row in rows] == ["80 x 60", "160 x 120", "320 x 240"]
    means = [float(row.split(" | ")[5].split(" / ")[0]) for row in rows]
    assert means[0] > means[1] > means[2] > 0


def test_the_cold_start_uses_the_templates_environment() -> None:
    variables = coldstart.environment()
    for name in Settings.model_fields:
        assert PREFIX + name.upper() in variables
    assert variables["FACET_INVOKE_TIMEOUT"] == "25"
    assert all(isinstance(value, str) for value in variables.values())


def test_a_program_is_timed_in_a_new_interpreter() -> None:
    variables = {"NAP": "0.05"}
    program = "import os\ntime.sleep(float(os.environ['NAP']))\n"
    assert 0.05 <= coldstart.seconds(program, variables) < LONG


def test_formats_the_cold_start_table() -> None:
    rows = coldstart.table({coldstart.LIBRARIES: 0.5, "predict.app": 0.7})
    assert rows[-1] == "| predict.app | 0.700 | 1.40 |"
