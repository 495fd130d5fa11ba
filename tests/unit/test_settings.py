from collections.abc import Iterator

import pytest

from facet.settings import settings

WHOLE = {
    "FACET_BUCKET": "models",
    "FACET_TABLE": "registry",
    "FACET_ENDPOINT": "endpoint",
    "FACET_INVOKE_TIMEOUT": "25",
    "FACET_REGISTRY_TTL": "0",
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


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("value", [None, ""])
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
