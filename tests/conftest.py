"""What every test may use: the seed of the run, and how hypothesis behaves."""

import os
import secrets

import pytest
from hypothesis import settings

SEED = int(os.environ.get("HILLOCK_SEED") or secrets.randbelow(2**32))

# Deadlines would measure the machine. "ci" looks for new examples too, and prints how to repeat what it finds.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=False, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_report_header() -> str:
    return f"hillock: HILLOCK_SEED={SEED}"


@pytest.fixture
def seed() -> int:
    """The seed of the run; printed, so that a failure shows it, and taken from HILLOCK_SEED where that is set."""
    print(f"HILLOCK_SEED={SEED}")
    return SEED
