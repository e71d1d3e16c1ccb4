"""How long a plugin may take on a machine that is busy."""

import pytest

from deploy.kube import credentials


@pytest.fixture(autouse=True)
def patience_with_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """None hangs that is only slow: else another would be run beside it, which tests count."""
    monkeypatch.setattr(credentials, "_HUNG_SECONDS", 60.0)
    monkeypatch.setattr(credentials, "_WAIT_SECONDS", 60.0)
