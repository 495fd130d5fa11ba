"""The memory that the largest accepted image of each format takes, measured in a new process."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from facet import preprocess
from facet.errors import BrokenImage
from facet.image import memory
from facet.image.memory import MAX_MEMORY
from facet.specs import InputSpec
from tests.support.inputs import artifacts
from tests.support.inputs import large_images as large
from tests.support.processes.waiting import LONG

PHONE = (8192, 6144)
"""As many pixels as the API accepts."""

SLACK = 20_000_000
"""Bytes for modules that Pillow imports, and for the allocator."""

INPUT = InputSpec(tensor="image", height=64, width=64, resize="nearest")
"""`nearest` decodes all pixels of every format."""

MEASURE = f"""
import sys
from pathlib import Path
from facet import preprocess
from facet.specs import InputSpec

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024

spec = InputSpec.model_validate_json({INPUT.model_dump_json()!r})
before = peak()
preprocess.apply(spec, preprocess.decode(spec, Path(sys.argv[1]).read_bytes()))
print(peak() - before)
"""

LARGEST: dict[str, Callable[[], bytes]] = {
    "bmp-rle": lambda: large.bmp(PHONE),
    "gif-transparent": lambda: artifacts.encoded(Image.new("P", PHONE), "GIF", transparency=0),
    "jpeg-progressive": lambda: large.jpeg(PHONE, progressive=True, subsampling=0),
    "jpeg-cmyk-progressive": lambda: large.jpeg((8192, 6000), "CMYK", progressive=True),
    "png-rgba-wide": lambda: large.png(6, 8, (196_608, 256)),
    "png-rgba-one-row": lambda: large.png(6, 16, (15_000_000, 1)),
    "png-grey-16": lambda: large.png(0, 16, PHONE, (b"tRNS", b"\0\0")),
    "png-palette": lambda: large.png(3, 8, PHONE, (b"PLTE", bytes(6)), (b"tRNS", b"\0")),
    "webp-turned": lambda: large.webp((8192, 4500), orientation=6),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize("kind", LARGEST)
def test_the_largest_image_of_a_format_stays_within_the_limit(kind: str, tmp_path: Path) -> None:
    file = tmp_path / kind
    file.write_bytes(LARGEST[kind]())
    command = [sys.executable, "-c", MEASURE, str(file)]
    measured = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONG)
    growth = int(measured.stdout)
    assert growth < MAX_MEMORY + SLACK
    assert growth > 100_000_000, "not one of the largest images"


@pytest.mark.parametrize(
    ("data", "takes"),
    [
        (large.webp(PHONE, orientation=6), "this WEBP of 50,331,648 pixels would take 805 MB"),
        (large.jpeg(PHONE, "CMYK", progressive=True), "this JPEG of 50,331,648 pixels .* 60. MB"),
        (large.png(6, 16, (50_000_000, 1)), "this PNG of 50,000,000 pixels would take 1,80. MB"),
        (large.png(0, 8, (1, 40_000_000)), "this PNG of 40,000,000 pixels would take 84. MB"),
    ],
    ids=["webp", "jpeg", "png-row", "png-column"],
)
def test_an_image_that_takes_more_is_rejected_before_it_is_decoded(data: bytes, takes: str) -> None:
    with pytest.raises(BrokenImage, match=f"Decoding {takes}; the limit is 600 MB."):
        preprocess.decode(INPUT, data)


@pytest.mark.parametrize("method", ["tf-bilinear", "tf-bicubic-antialias", "tf-area", "cv2-area"])
@pytest.mark.parametrize("size", [(9000, 2), (2, 9000), (700, 500), (90, 80)])
@pytest.mark.parametrize("target", [(32, 32), (1, 300), (300, 1), (400, 300)])
def test_what_resizing_takes_is_known_before(
    method: str, size: tuple[int, int], target: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    width, height = target
    changed = {"width": width, "height": height, "resize": method}
    image, spec = Image.new("RGB", size), INPUT.model_copy(update=changed)
    tracemalloc.start()  # NumPy's memory
    try:
        preprocess.geometry(spec, image)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    monkeypatch.setattr(memory, "MAX_MEMORY", taken)
    with pytest.raises(BrokenImage, match=rf"Resizing an image of .* pixels to {width} x {height}"):
        preprocess.geometry(spec, image)


@pytest.mark.parametrize(
    ("method", "size", "changes"),
    [
        ("bilinear", (2, 60_000), {"width": 4096}),
        *(
            (method, (1, 60_000), {"resize_to": 256, "fit": "crop"})
            for method in ("bilinear", "tf-bilinear", "cv2-linear")
        ),
    ],
)
def test_an_image_that_takes_too_much_to_resize_is_rejected(
    method: str, size: tuple[int, int], changes: dict[str, object]
) -> None:
    """Pillow first makes all rows as wide as the input; `resize_to` keeps an image's shape."""
    spec = InputSpec.model_validate({**INPUT.model_dump(), **changes, "resize": method})
    with pytest.raises(BrokenImage, match="the limit is 600 MB"):
        preprocess.geometry(spec, Image.new("RGB", size))
