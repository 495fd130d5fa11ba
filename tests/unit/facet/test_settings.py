from collections.abc import Iterator

import pytest

from facet.settings import settings

WHOLE = {
    "FACET_BUCKET": "models",
    "FACET_TABLE": "registry",
    "FACET_ENDPOINT": "endpoint",
    "FACET_INVOKE_TIMEOUT": "25",
    "FACET_REGISTRY_TTL": "0",
    "FACET_HEAD_CACHE": "1000000",
    "FACET_TOPIC": "",
    "FACET_GOLDEN_REQUIRED": "true",
    "FACET_MORE_OPS": "Roll,Stack",
    "FACET_ANSWER_WITHIN": "10",
    "FACET_KEEP_VERSIONS": "5",
    "FACET_SWEEP_AFTER": "30",
    "FACET_DELETE_AFTER": "60",
    "FACET_ONBOARD_FUNCTION": "",
    "FACET_TEACH_FUNCTION": "",
    "FACET_INFER_FUNCTION": "",
    "FACET_RUN_IN": "endpoint",
    "FACET_MAX_BODY": "4500000",
    "FACET_MAX_PIXELS": "50000000",
    "FACET_MAX_IMAGES": "32",
    "FACET_MAX_UPLOAD": "25000000",
    "FACET_UPLOAD_EXPIRES": "900",
    "FACET_ALLOW_ORIGIN": "",
    "FACET_DELETE_KEYS": "a1b2c3,d4e5f6",
    "FACET_WATCHED_MODELS": "cifar,sign-language",
}
MAY_BE_EMPTY = {
    "FACET_TOPIC",
    "FACET_MORE_OPS",
    "FACET_ONBOARD_FUNCTION",
    "FACET_TEACH_FUNCTION",
    "FACET_INFER_FUNCTION",
    "FACET_ALLOW_ORIGIN",
    "FACET_DELETE_KEYS",
    "FACET_WATCHED_MODELS",
}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    found = settings()
    assert (found.bucket, found.table, found.endpoint) == ("models", "registry", "endpoint")
    assert (found.invoke_timeout, found.registry_ttl) == (25.0, 0.0)
    assert (found.golden_required, found.ops) == (True, frozenset({"Roll", "Stack"}))


def test_no_more_ops_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (WHOLE | dict.fromkeys(MAY_BE_EMPTY, "")).items():
        monkeypatch.setenv(name, value)
    assert settings().ops == frozenset()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, None) for name in WHOLE),
        *((name, "") for name in sorted(WHOLE.keys() - MAY_BE_EMPTY)),
        ("FACET_GOLDEN_REQUIRED", "perhaps"),
        ("FACET_KEEP_VERSIONS", "0"),
        ("FACET_RUN_IN", "lambda"),
        ("FACET_MORE_OPS", "Roll, Stack"),
        ("FACET_MORE_OPS", ","),
        ("FACET_WATCHED_MODELS", "cifar, sign-language"),
        ("FACET_WATCHED_MODELS", ",".join(f"model-{at}" for at in range(21))),
    ],
)
def test_each_setting_that_is_missing_or_wrong_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str | None
) -> None:
    for each, good in WHOLE.items():
        monkeypatch.setenv(each, good)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(RuntimeError, match=rf"template\.yaml does: {name}$"):
        settings()
