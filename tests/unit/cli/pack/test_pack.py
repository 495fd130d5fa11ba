"""What `facet pack` asks for, takes from options, and refuses: all without TensorFlow."""

import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.pack import options
from cli.pack.errors import CannotPack
from cli.pack.model.activation import DetectedActivation
from cli.pack.model.geometry import Geometry
from cli.pack.model.scaling import PRESETS, Scaling
from cli.pack.model.signature import choose
from cli.pack.model.source import (
    GRAPH,
    HDF5,
    ZIP,
    FrozenGraph,
    KerasFile,
    LiteFile,
    SavedModelFolder,
    find,
)
from cli.pack.options import DIGITS, InputOptions
from cli.terminal.prompts import MissingOption, SilentPrompter
from facet.artifact.graphs.saved_model import Signature, TensorSpec

IMAGES = TensorSpec("float32", (-1, 8, 8, 3))
ROWS = TensorSpec("float32", (-1, 4))
WORDS = TensorSpec("string", (-1,))
GREY = Geometry(28, 28, 1, "flat", (784,), served="float")
COLOURS = Geometry(8, 8, 3, "hwc", (8, 8, 3), served="float")
STRINGS = Geometry(8, 8, 3, "hwc", (), served="bytes")


class Somebody:
    """Takes the suggestion, or what `says` has for the option; `asked` is what was asked."""

    def __init__(self, **says: str) -> None:
        self.says = says
        self.asked: list[str] = []

    def ask(
        self,
        option: str,
        question: str,  # noqa: ARG002
        *,
        choices: Sequence[str] = (),
        suggestion: str | None = None,
        fallback: str | None = None,
        placeholder: str | None = None,  # noqa: ARG002
        check: Callable[[str], object] | None = None,
    ) -> str:
        name = option.split()[0].removeprefix("--")
        self.asked.append(name)
        answer = self.says.get(name) or suggestion or fallback
        assert answer
        assert not choices or answer in choices
        if check:
            check(answer)
        return answer

    def finish(self) -> None:
        pass


class Nobody(SilentPrompter):
    """Raises for the first option that is missing."""

    def ask(self, option: str, question: str, **named: Any) -> str:
        return SilentPrompter().ask(option, question, **(named | {"placeholder": None}))


NOBODY = Nobody()


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[str], Path]:
    def make(place: str) -> Path:
        folder = tmp_path / place
        folder.mkdir(parents=True)
        (folder / GRAPH).touch()
        return folder

    return make


def test_a_saved_model_is_found_with_or_without_its_version_folder(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = saved("mnist/7")
    expected = SavedModelFolder(folder, "mnist")
    for place in (folder, folder.parent, folder / GRAPH):
        assert find(place) == expected
    assert find(saved("plain")) == SavedModelFolder(tmp_path / "plain", "plain")


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "{}")
    return path


def test_a_file_is_judged_by_its_content(tmp_path: Path) -> None:
    hdf5, lite, frozen = (tmp_path / name for name in ("a.keras", "b.bin", "c.pb"))
    hdf5.write_bytes(HDF5 + bytes(64))
    lite.write_bytes(b"\x1c\0\0\0TFL3")
    frozen.write_bytes(b"\x0a\x10")
    keras = zipped(tmp_path / "pets.h5", "metadata.json", "config.json", "model.weights.h5")
    assert find(hdf5) == KerasFile(hdf5, "a", hdf5=True)
    assert find(lite) == LiteFile(lite, "b")
    assert find(frozen) == FrozenGraph(frozen, "c")
    assert find(keras) == KerasFile(keras, "pets")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\x1f\x8b\x08", "is an archive.*facet push"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
        (b"\x08\x01\x12\x10", r"is a SavedModel's graph: name it saved_model\.pb"),
        (b"hello", "neither a SavedModel, a Keras file, a LiteRT model"),
        (ZIP, "damaged zip archive"),
    ],
)
def test_files_that_hold_no_model_say_what_they_are(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    file = tmp_path / "model.h5"
    file.write_bytes(content)
    with pytest.raises(CannotPack, match=problem):
        find(file)


def test_an_archive_with_a_model_in_it_is_listed(tmp_path: Path) -> None:
    download = zipped(tmp_path / "converted_keras.zip", "keras_model.h5", "labels.txt")
    with pytest.raises(CannotPack, match=r"keras_model\.h5, labels\.txt\. Unpack it"):
        find(download)


def test_sources_that_hold_no_model_are_refused(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(CannotPack, match="does not exist"):
        find(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CannotPack, match=r"holds no saved_model\.pb"):
        find(tmp_path / "empty")
    saved("several/1"), saved("several/2")
    with pytest.raises(CannotPack, match="several versions: name one of"):
        find(tmp_path / "several")


def test_the_only_signature_and_tensors_are_chosen() -> None:
    chosen = choose({"mine": Signature({"x": IMAGES}, {"y": ROWS})}, NOBODY)
    assert (chosen.signature, chosen.input, chosen.output, chosen.labels) == ("mine", "x", "y", 4)


def test_of_several_signatures_one_is_asked_for() -> None:
    several = {
        "predict": Signature({"x": IMAGES}, {"y": ROWS}),
        "serving_default": Signature({"examples": WORDS}, {"y": ROWS}),
    }
    with pytest.raises(MissingOption, match=r"^--signature predict\|serving_default is missing"):
        choose(several, NOBODY)
    assert choose(several, Somebody(signature="predict")).input == "x"
    assert choose(several, NOBODY, signature="predict").input == "x"


def test_what_keras_exports_twice_counts_once() -> None:
    same = Signature({"x": IMAGES}, {"y": ROWS})
    twice = {"serve": same, "serving_default": same, "__saved_model_init_op": Signature({}, {})}
    assert choose(twice, NOBODY).signature == "serving_default"
    assert choose(twice, NOBODY, signature="serve").signature == "serve"


def test_only_rows_of_numbers_can_be_scores() -> None:
    outputs = {
        "features": TensorSpec("float32", (-1, 2, 2, 8)),
        "names": TensorSpec("string", (-1, 4)),
        "scores": ROWS,
    }
    assert choose({"s": Signature({"x": IMAGES}, outputs)}, NOBODY).output == "scores"
    outputs["other"] = ROWS
    with pytest.raises(MissingOption, match=r"^--output other\|scores is missing"):
        choose({"s": Signature({"x": IMAGES}, outputs)}, NOBODY)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"signature": "none"}, "no signature 'none': it has s"),
        ({"tensor": "none"}, "no input 'none': it has x"),
        ({"output": "none"}, "no output of scores 'none': it has y"),
    ],
)
def test_names_that_the_model_does_not_have(given: dict[str, str], problem: str) -> None:
    with pytest.raises(CannotPack, match=problem):
        choose({"s": Signature({"x": IMAGES}, {"y": ROWS})}, NOBODY, **given)


def test_signatures_that_do_not_classify_images() -> None:
    with pytest.raises(CannotPack, match="takes mask, x: a classifier takes the image alone"):
        choose({"s": Signature({"x": IMAGES, "mask": IMAGES}, {"y": ROWS})}, NOBODY)
    with pytest.raises(CannotPack, match=r"it has y \(float32 \[-1, 8, 8, 3\]\)"):
        choose({"s": Signature({"x": IMAGES}, {"y": IMAGES})}, NOBODY)
    for none in ({}, {"__saved_model_init_op": Signature({}, {"done": ROWS})}):
        with pytest.raises(CannotPack, match=r"no signature: .* tf\.saved_model\.save"):
            choose(none, NOBODY)


@pytest.mark.parametrize(
    ("dtype", "shape", "labels", "plain"),
    [
        ("float32", (-1, 4), 4, True),
        ("float16", (-1, 4), 4, False),
        ("float32", (-1, 1, 1, 4), 4, False),
        ("float32", (-1,), 1, False),
        ("float32", (-1, 1), 1, True),
        ("float32", None, None, True),
    ],
)
def test_forms_of_scores(
    dtype: str, shape: tuple[int, ...] | None, labels: int | None, plain: bool
) -> None:
    outputs = {"y": TensorSpec(dtype, shape), "names": TensorSpec("string", (-1, 4))}
    chosen = choose({"s": Signature({"x": IMAGES}, outputs)}, NOBODY)
    assert (chosen.output, chosen.labels, chosen.plain) == ("y", labels, plain)


def test_keys_beside_the_image_are_not_asked_for() -> None:
    found = {"s": Signature({"image_bytes": WORDS, "key": WORDS}, {"scores": ROWS})}
    chosen = choose(found, NOBODY)
    assert (chosen.input, chosen.keys) == ("image_bytes", ("key",))
    assert choose({"s": Signature({"key": WORDS}, {"y": ROWS})}, NOBODY).keys == ()


def test_labels_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    assert options.labels("cat, dog", 2, NOBODY) == ("cat", "dog")
    file = tmp_path / "labels.txt"
    file.write_text("sea lion\ncat, tabby\n\n")
    assert options.labels(str(file), None, NOBODY) == ("sea lion", "cat, tabby")


def test_one_score_has_two_labels_or_one() -> None:
    assert options.labels("cat,dog", 1, NOBODY) == ("cat", "dog")
    with pytest.raises(CannotPack, match="3 labels, but the model gives one score"):
        options.labels("a,b,c", 1, NOBODY)
    with pytest.raises(MissingOption, match="What are the two labels"):
        options.labels(None, 1, NOBODY)


def test_ten_scores_without_labels_are_offered_digits() -> None:
    assert options.labels(None, 10, Somebody()) == tuple("0123456789")
    with pytest.raises(MissingOption, match=f"^--labels {DIGITS}"):
        options.labels(None, 10, NOBODY)
    with pytest.raises(MissingOption, match=r"^--labels a,b,c .* What are the 3 labels"):
        options.labels(None, 3, NOBODY)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ("a,b,c", "3 labels for 2 scores"),
        ("a,a", "more than once: a"),
        ("nowhere.txt", "no such file"),
    ],
)
def test_labels_that_do_not_fit(labels: str, problem: str) -> None:
    with pytest.raises(CannotPack, match=problem):
        options.labels(labels, 2, NOBODY)


@pytest.mark.parametrize(
    ("preset", "low", "high"),
    [("unit", 0, 1), ("tf", -1, 1), ("none", 0, 255)],
)
def test_presets_map_0_and_255(preset: str, low: float, high: float) -> None:
    scaling = PRESETS[preset].for_channels(3)
    mean = scaling.mean[0] if scaling.mean else 0
    assert [0 * scaling.scale - mean, 255 * scaling.scale - mean] == pytest.approx([low, high])


def test_a_preset_gives_the_whole_input() -> None:
    given = InputOptions(preprocessing="imagenet-caffe", resize="bilinear")
    caffe = options.spec(COLOURS, "s", "x", given, NOBODY)
    assert (caffe.scale, caffe.mean, caffe.order) == (1, (103.939, 116.779, 123.68), "BGR")
    assert (caffe.signature, caffe.tensor, caffe.encoding) == ("s", "x", "float")
    given = InputOptions(preprocessing="tf", resize="nearest")
    grey = options.spec(GREY, "s", "x", given, NOBODY)
    assert (grey.layout, grey.height, grey.channels, grey.mean) == ("flat", 28, 1, (1.0,))


def test_scaling_by_hand() -> None:
    given = InputOptions(
        scale="1/2", mean="1,2,3", std="2", order="BGR", resize="nearest", fit="crop"
    )
    spec = options.spec(COLOURS, "s", "x", given, NOBODY)
    assert (spec.scale, spec.mean, spec.std) == (0.5, (1, 2, 3), (2, 2, 2))
    assert (spec.order, spec.resize, spec.fit) == ("BGR", "nearest", "crop")


def test_what_nobody_said_is_asked_for_with_the_manifest_s_defaults() -> None:
    someone = Somebody(preprocessing="unit", fit="pad")
    spec = options.spec(COLOURS, "s", "x", InputOptions(), someone)
    assert someone.asked == ["preprocessing", "order", "resize", "fit"]
    assert (spec.scale, spec.resize, spec.fit) == (1 / 255, "tf-bilinear", "pad")
    with pytest.raises(MissingOption, match=r"^--preprocessing"):
        options.spec(COLOURS, "s", "x", InputOptions(), NOBODY)


@pytest.mark.parametrize(("preset", "geometry"), [("imagenet-caffe", COLOURS), ("unit", GREY)])
def test_the_order_of_colours_is_asked_for_where_it_is_open(
    preset: str, geometry: Geometry
) -> None:
    someone = Somebody(preprocessing=preset)
    options.spec(geometry, "s", "x", InputOptions(), someone)
    assert "order" not in someone.asked
    given = InputOptions(preprocessing=preset, order="RGB", resize="box")
    assert options.spec(geometry, "s", "x", given, NOBODY).order == "RGB"


def test_an_answer_that_is_no_choice() -> None:
    with pytest.raises(CannotPack, match="--activation relu: choose softmax, logits, sigmoid"):
        options.activation("relu", DetectedActivation(None, sure=False), NOBODY)


def test_a_graph_that_takes_files_gets_files() -> None:
    takes = replace(STRINGS, served="files")
    assert options.spec(takes, "s", "x", InputOptions(), NOBODY).encoding == "jpeg"


def test_a_graph_that_takes_bytes_scales_them_itself() -> None:
    spec = options.spec(STRINGS, "s", "x", InputOptions(resize="box"), NOBODY)
    assert (spec.encoding, spec.scale, spec.mean) == ("uint8", 1, ())


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (InputOptions(preprocessing="unit", scale="2"), "give either"),
        (InputOptions(mean="1,2"), "mean has 2 values for 3 channels"),
        (InputOptions(mean="one"), "--mean one: give numbers"),
        (InputOptions(std="0"), "^std must be above 0"),
        (InputOptions(scale="1/0"), "--scale 1/0: give numbers such as 0.5 or 1/255"),
        (
            InputOptions(scale="1", resize_to=4),
            "^resize_to is the side before the crop, at least 8",
        ),
        (
            InputOptions(scale="1", fill="1.5", fit="pad"),
            r"fill\.0: Input should be a valid integer",
        ),
        (InputOptions(scale="1", fill="1,2,3"), "^fill is the colour of fit 'pad'"),
    ],
)
def test_scaling_that_does_not_fit(given: InputOptions, problem: str) -> None:
    with pytest.raises(CannotPack, match=problem):
        options.spec(COLOURS, "s", "x", replace(given, resize="bilinear"), NOBODY)


def test_geometry_by_options() -> None:
    given = InputOptions(preprocessing="per-image", resize="cv2-area", fit="pad", fill="114")
    spec = options.spec(COLOURS, "s", "x", replace(given, invert=True), NOBODY)
    assert (spec.fill, spec.invert, spec.per_image_standardization) == ((114,) * 3, True, True)
    given = InputOptions(preprocessing="unit", resize="tf-bilinear", fit="crop", resize_to=10)
    spec = options.spec(COLOURS, "s", "x", given, NOBODY)
    assert (spec.resize, spec.fit, spec.resize_to) == ("tf-bilinear", "crop", 10)
    assert spec.decode == "whole"


def test_a_filter_is_never_assumed() -> None:
    with pytest.raises(MissingOption, match=r"^--resize nearest\|box\|.*tf-bilinear.* is missing"):
        options.spec(COLOURS, "s", "x", InputOptions(preprocessing="unit"), NOBODY)


def test_all_missing_options_are_named_at_once() -> None:
    silent = SilentPrompter()
    takes = options.image_geometry(TensorSpec("float32", (-1, -1, -1, 3)), InputOptions(), silent)
    options.spec(takes, "s", "x", InputOptions(), silent)
    options.labels(None, None, silent)
    options.activation(None, DetectedActivation(None, sure=False), silent)
    with pytest.raises(MissingOption) as caught:
        silent.finish()
    assert re.findall(r"--[a-z]+", str(caught.value)) == [
        "--size", "--preprocessing", "--resize", "--labels", "--activation", "--help"
    ]  # fmt: skip


def test_a_placeholder_that_does_not_fit_is_not_reported() -> None:
    """The shape is open, but grey: the size that stands for the missing one has three channels."""
    grey = TensorSpec("float32", (-1, -1, -1, 1))
    with pytest.raises(MissingOption, match=r"^--size HEIGHTxWIDTHxCHANNELS is missing"):
        options.image_geometry(grey, InputOptions(), SilentPrompter())


def test_what_every_model_needs_is_named_with_what_is_missing_first() -> None:
    several = {name: Signature({"x": IMAGES}, {"y": ROWS}) for name in "ab"}
    with pytest.raises(MissingOption) as caught:
        choose(several, SilentPrompter())
    found = str(caught.value.also(options.needed(None, InputOptions(resize="box"))))
    assert "--signature a|b" in found
    assert "--labels a,b,c" in found
    assert "--resize" not in found


def test_imagenet_presets_are_for_colours() -> None:
    with pytest.raises(CannotPack, match="3 values for 1 channels"):
        options.scaling(InputOptions(preprocessing="imagenet-torch"), 1, NOBODY)
    with pytest.raises(MissingOption, match=r"unit\|tf\|per-image\|none is missing"):
        options.scaling(InputOptions(), 1, NOBODY)
    assert PRESETS["imagenet-torch"] == Scaling(
        1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )


def test_the_size_is_asked_for_where_the_shape_leaves_it_open() -> None:
    anything = TensorSpec("float32", (-1, -1, -1, 3))
    assert options.image_geometry(anything, InputOptions(), Somebody(size="8x9")).width == 9
    with pytest.raises(MissingOption, match=r"^--size HEIGHTxWIDTH"):
        options.image_geometry(anything, InputOptions(), NOBODY)
    with pytest.raises(CannotPack, match="--size 8x9 is not enough"):
        options.image_geometry(WORDS, InputOptions(), Somebody(size="8x9"))


def test_the_graph_is_believed_about_its_activation() -> None:
    softmax, unclear = (
        DetectedActivation("softmax", sure=True),
        DetectedActivation("logits", sure=False),
    )
    assert options.activation(None, softmax, NOBODY) == "softmax"
    with pytest.raises(CannotPack, match="come out of a softmax"):
        options.activation("logits", softmax, NOBODY)
    assert options.activation("sigmoid", unclear, NOBODY) == "sigmoid"
    assert options.activation(None, unclear, Somebody()) == "logits"
    with pytest.raises(MissingOption, match=r"^--activation softmax\|logits\|sigmoid"):
        options.activation(None, unclear, NOBODY)
