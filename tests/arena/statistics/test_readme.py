import doctest
import re
from pathlib import Path

import arena.statistics

FOLDER = Path(arena.statistics.__path__[0])


def test_the_worked_example_gives_what_the_page_says() -> None:
    failed, tried = doctest.testfile(str(FOLDER / "README.md"), module_relative=False)

    assert tried > 10
    assert failed == 0


def test_the_page_names_every_file() -> None:
    named = re.findall(r"^- `([a-z_]+\.py)`:", (FOLDER / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert sorted(named) == sorted(path.name for path in FOLDER.glob("*.py") if path.name != "__init__.py")
