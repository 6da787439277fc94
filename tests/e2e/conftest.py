import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from lab import Lab  # noqa: E402

_lab = None


@pytest.fixture(scope="session")
def lab():
    return _lab


def pytest_collection_finish(session):
    """Starts the apps of the oracle tests, and ClrMD on their cores, while other tests run."""
    global _lab
    if not session.items or session.config.option.collectonly:
        return
    _lab = Lab()
    wanted = []
    for item in session.items:
        params = getattr(item, "callspec", None) and item.callspec.params
        if params and "app" in params and "mode" in params and "lab" in item.fixturenames:
            key = (item.module.__name__, params["app"], params["mode"])
            if key not in wanted:
                wanted.append(key)
    for module, app, mode in wanted:
        _lab.prefetch(_lab.oracle if module == "test_oracle" else _lab.core, app, mode)


def pytest_sessionfinish(session):
    if _lab:
        _lab.close()
