"""A site for each test. Where the environment names a mutant, everything here runs with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.faults import jobs, journals, mutants
from tests.faults.server import fragile
from tests.faults.site import Site


@pytest.fixture(scope="session", autouse=True)
def mutant() -> None:
    mutants.switch_in()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with TemporaryDirectory(prefix="taskq-") as folder, fragile() as server:
        monkeypatch.setenv(journals.FOLDER, folder)
        site = Site(server, Path(folder))
        jobs.app.use(site.broker)
        yield site
        site.close()
        jobs.app.close()
