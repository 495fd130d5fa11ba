"""What a log's texts are, how they are shown, and which files have them."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from cli.logs.files import LogFiles, newest_of
from cli.logs.formatting import document, readable
from cli.logs.line import Level, LineParser

AT = datetime(2026, 1, 5, 3, 50, 36, 133000, UTC).timestamp()
TIME = "Time: 2026-01-05T03:50:36.133+00:00"
SAID = {
    "level": "WARNING",
    "location": "ready:17",
    "message": "model\x1b[31m ready",
    "timestamp": "2026-01-05 03:50:36,133+0000",
    "service": "facet",
    "model": "cifar",
    "exception": "Traceback:\n  boom",
}
METRICS = {
    "_aws": {"Timestamp": int(AT * 1000), "CloudWatchMetrics": []},
    "service": "facet",
    "request_id": "7f1c",
    "Uploads": [1.0],
}


@pytest.mark.parametrize(
    ("text", "time", "level"),
    [
        (json.dumps(SAID), AT, Level.WARNING),
        (json.dumps(METRICS), AT, Level.INFO),
        ("2026-01-05T03:50:36.133Z ERROR serving.models no such file", AT, Level.ERROR),
        (f"START RequestId: {'x' * 36} Version: $LATEST\t{TIME}", AT, Level.INFO),
        ("[ERROR] KeyError: 'x'", 7.0, Level.ERROR),
        ("7f1c Task timed out after 29.00 seconds", 7.0, Level.ERROR),
        ("RequestId: 7f1c Error: Runtime exited with error", 7.0, Level.ERROR),
        ("REPORT RequestId: ERROR\tDuration: 1 ms", 7.0, Level.INFO),
        ("{no json", 7.0, Level.INFO),
        ('{"level": "odd"}', 7.0, Level.INFO),
        ("2026-13-45 99:99:99 ERROR x", 7.0, Level.ERROR),
        ("0000-00-00 00:00:00 x", 7.0, Level.INFO),
        ("", 7.0, Level.INFO),
    ],
)
def test_a_line_says_when_and_how_grave(text: str, time: float, level: str) -> None:
    line = LineParser("f", 7.0).line(text)
    assert (line.source, line.time, line.level, line.text) == ("f", time, level, text)


def test_what_a_line_does_not_say_it_has_from_the_one_before() -> None:
    parser = LineParser("f")
    lines = [
        parser.line(each)
        for each in ("2026-01-05 03:50:36.133Z ERROR it failed", "Traceback:", "  boom")
    ]
    assert [(each.time, each.level) for each in lines] == [(AT, Level.ERROR)] * 3
    assert parser.line('{"message": "another"}').level is Level.INFO


def test_cloudwatch_s_time_wins() -> None:
    assert LineParser("f").line("2026-01-05T03:50:36.133Z x", time=9.0).time == 9.0


def shown(text: str, width: int = 0) -> list[str]:
    return [each.plain for each in readable(LineParser("predict").line(text, AT), width)]


def test_a_line_of_json_is_read_with_ease_and_without_its_control_characters() -> None:
    assert shown(json.dumps(SAID), width=9) == [
        "2026-01-05 03:50:36.133  predict    WARNING   model�[31m ready model=cifar",
        "    Traceback:",
        "      boom",
    ]
    assert shown(json.dumps(METRICS)) == [
        "2026-01-05 03:50:36.133  INFO      metrics request_id=7f1c Uploads=1"
    ]


def test_time_and_level_of_a_text_are_not_told_twice() -> None:
    assert shown("2026-01-05T03:50:36.133Z ERROR serving no") == [
        "2026-01-05 03:50:36.133  ERROR     serving no"
    ]
    assert shown("[ERROR] one\ntwo\tthree") == [
        "2026-01-05 03:50:36.133  ERROR     [ERROR] one",
        "    two three",
    ]
    assert shown("") == ["2026-01-05 03:50:36.133  INFO      "]


def test_for_programs_a_line_is_a_document_with_the_log_s_own_fields() -> None:
    about = {"source": "f", "time": "2026-01-05T03:50:36.133+00:00"}
    assert json.loads(document(LineParser("f").line(json.dumps(SAID)))) == about | SAID
    assert json.loads(document(LineParser("f").line("text", AT))) == about | {"message": "text"}


def test_a_time_that_nobody_knows_is_not_told() -> None:
    line = LineParser("cats-1", AT).line("epoch=1")
    assert [each.plain for each in readable(line, 0)] == ["INFO      epoch=1"]
    assert json.loads(document(line)) == {"source": "cats-1", "message": "epoch=1"}


def test_files_are_read_on_by_whole_lines_and_merged_by_time(tmp_path: Path) -> None:
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    files = LogFiles({"one": one, "two": two, "none": tmp_path / "none.log"})
    one.write_text("1970-01-01T00:00:10Z a\n1970-01-01T00:00:30Z c\n1970-01-01T00:0")
    two.write_text("1970-01-01T00:00:20Z b\n")
    assert [each.text[-1] for each in files.read(15)] == ["b", "c"]
    assert [*files.read(0)] == []
    with one.open("a") as more:
        more.write("1:00Z d\nof the same time\n")
    assert [(each.source, each.time) for each in files.read(0)] == [("one", 60), ("one", 60)]


def test_a_text_without_any_time_counts_as_of_the_file_s_last_change(tmp_path: Path) -> None:
    log = tmp_path / "job.log"
    log.write_text("epoch 1\n")
    os.utime(log, (50, 50))
    assert [each.time for each in LogFiles({"job": log}).read(0)] == [50]
    assert [*LogFiles({"job": log}).read(51)] == []


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a stack that has stopped kept its logs."""
    (tmp_path / "logs" / "training").mkdir(parents=True)
    for name, text in {
        "PredictFunction": json.dumps(SAID),
        "OnboardFunction": json.dumps(METRICS),
        "facet": "2026-01-05T03:50:36.500Z INFO serving loaded 7f1c",
        "stack": "not for everyone",
        "training/cats-1": "epoch 1",
    }.items():
        (tmp_path / "logs" / f"{name}.log").write_text(f"{text}\n")
    return tmp_path


def logs(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["logs", *arguments, "--home", str(home), "--since", "99999d"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["PredictFunction", "OnboardFunction", "endpoint"]),
        (["endpoint"], ["endpoint"]),
        (["PredictFunction", "--level", "warning"], ["PredictFunction"]),
        (["--level", "warning"], ["PredictFunction"]),
        (["--level", "error"], []),
        (["--request", "7f1c"], ["OnboardFunction", "endpoint"]),
        (["training", "cats-1"], ["cats-1"]),
        (["training", "cats"], ["cats-1"]),
    ],
)
def test_which_lines_are_shown(home: Path, arguments: list[str], expected: list[str]) -> None:
    done = logs(home, *arguments, "--json")
    assert done.exit_code == 0, done.output
    sources = {json.loads(line)["source"] for line in done.stdout.splitlines()}
    assert sources == set(expected)
    assert ("no such lines" in done.stderr) is (not expected)


def test_the_last_ten_minutes_if_nothing_is_said_and_all_of_a_training_job(home: Path) -> None:
    def expected(*arguments: str) -> str:
        return CliRunner().invoke(app, ["logs", *arguments, "--home", str(home)]).stdout

    os.utime(home / "logs/training/cats-1.log", (50, 50))
    assert expected() == ""
    assert "epoch 1" in expected("training", "cats-1")


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["Nope"], 1, "no log of Nope; choose OnboardFunction, PredictFunction, endpoint, tr"),
        (["stack"], 1, "no log of stack"),
        (["training"], 1, "name a training job or a model; the newest are: cats-1"),
        (
            ["training", "dogs"],
            1,
            "no training job or model dogs has a log; the newest are: cats-1",
        ),
        (["PredictFunction", "cats-1"], 2, "only training has jobs"),
        (["--since", "10"], 2, "write 30s, 10m, 2h or 1d, not '10'"),
    ],
)
def test_what_is_not_there(home: Path, arguments: list[str], code: int, expected: str) -> None:
    done = CliRunner().invoke(app, ["logs", "--home", str(home), *arguments])
    assert (done.exit_code, done.stdout) == (code, "")
    assert expected in " ".join(done.stderr.replace("│", "").split())


def test_a_machine_without_a_stack(tmp_path: Path) -> None:
    done = logs(tmp_path)
    assert done.exit_code == 1
    assert "`make run` starts a stack" in done.stderr


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cats", "cats-cats-fc8b-1"),
        ("cats-2", "cats-2-cats-2-aa-1"),
        ("cats-cats-0-0", "cats-cats-0-0"),
        ("dogs", "dogs-nightly-1"),
        ("cat", None),
        (None, None),
    ],
)
def test_the_newest_job_of_a_model(name: str | None, expected: str | None) -> None:
    newest = ["cats-2-cats-2-aa-1", "cats-cats-fc8b-1", "cats-cats-0-0", "dogs-nightly-1"]
    assert newest_of(name, newest) == expected
