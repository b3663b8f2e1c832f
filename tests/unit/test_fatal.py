"""What ends the process, whatever a job did to it."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

from taskq import exit_codes
from taskq_workers.fatal import or_die


class Gone(BaseException):
    """In place of the end of the process."""


def test_the_process_ends_though_its_stderr_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(code: int) -> NoReturn:
        assert code == exit_codes.FAILED
        raise Gone

    def broken(*_: object, **__: object) -> NoReturn:
        raise SystemExit

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr("builtins.print", broken)
    with pytest.raises(Gone):
        or_die(broken)
