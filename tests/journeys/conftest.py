"""Journeys are walked with the one command, as a user types it, in this process (so that torch is loaded once)."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import canvas.cli


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Answer]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Run `canvas` with these words and return what it printed and its exit status."""

    def run(*words: object, status: int = 0) -> Answer:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["canvas", *map(str, words)])
        try:
            canvas.cli.main()
            code: object = 0
        except SystemExit as left:
            code = left.code or 0
        printed = capsys.readouterr()
        answer = Answer(status=code if isinstance(code, int) else 1, out=printed.out, err=printed.err)
        assert answer.status == status, answer
        return answer

    return run
