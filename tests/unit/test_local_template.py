"""local/template.py: the template is carried out whole, or refused."""

from pathlib import Path

import pytest

from local import template

ROOT = Path(__file__).parents[2]


def write(folder: Path, resources: str) -> Path:
    path = folder / "template.yaml"
    path.write_text(
        "AWSTemplateFormatVersion: '2010-09-09'\n"
        "Transform: AWS::Serverless-2016-10-31\n"
        f"Resources:\n{resources}"
    )
    return path


def test_facets_template_is_carried_out_whole() -> None:
    read = template.load(ROOT / "template.yaml")
    assert set(read.sources) == set(read.of_type("AWS::Lambda::Function"))
    assert set(read.definitions) == set(read.of_type("AWS::StepFunctions::StateMachine"))
    for sources in read.sources.values():
        assert sources.code == ROOT / "functions"
        assert [layer.resolve() for layer in sources.layers] == [ROOT / "layers/facet"]
    for each in read.resources.values():
        assert each["Type"] in template.CARRIED_OUT.keys() | template.WITHOUT_EFFECT.keys()


def test_an_unknown_type_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, "  Topic:\n    Type: AWS::SNS::Subscription\n")
    with pytest.raises(template.UnsupportedTemplate, match="AWS::SNS::Subscription"):
        template.load(path)


def test_an_unknown_property_is_refused_by_name(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "  Queue:\n    Type: AWS::SQS::Queue\n    Properties: {FifoQueue: true}\n",
    )
    with pytest.raises(template.UnsupportedTemplate, match=r"AWS::SQS::Queue\.FifoQueue"):
        template.load(path)


def test_every_property_without_effect_says_why() -> None:
    assert all(len(reason.split()) > 3 for reason in template.WITHOUT_EFFECT.values())
