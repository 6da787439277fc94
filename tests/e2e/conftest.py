import os
import signal
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from lab import Lab  # noqa: E402

_lab = None
_begun = set()


def pytest_configure(config):
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # As Ctrl-C: what was started is ended.
    # A shell ignores SIGINT in what it runs behind itself, and so would all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "sanitized: worth a run with a linger that was built under ASan and UBSan, and fast enough for it")


@pytest.fixture(scope="session")
def lab():
    return _lab


def pytest_sessionstart():
    global _lab
    _lab = Lab()


def pytest_runtest_setup(item):
    """When the first test of a file comes up: starts the apps that the others of the file are about, and ClrMD on their
    cores. With xdist a worker has some of the files only, so not before."""
    if item.module in _begun:
        return
    _begun.add(item.module)
    params = [i.callspec.params for i in item.session.items if i.module is item.module and hasattr(i, "callspec")]
    for app, mode in dict.fromkeys((p["app"], p["mode"]) for p in params if "app" in p and "mode" in p):
        _lab.prefetch(_lab.oracle if item.module.__name__ == "test_oracle" else _lab.core, app, mode)


def pytest_sessionfinish():
    if _lab:
        _lab.close()
