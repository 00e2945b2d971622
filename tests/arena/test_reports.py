"""What raters report reaches the people behind the study: in the ledger, on the admin page, as a command and a file."""

import asyncio
import csv
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from pyarrow import parquet
from typer.testing import CliRunner

from arena.cli import app
from arena.export import REPORT_COLUMNS, ExportFormatError
from arena.ledger.errors import UnknownStudyError
from arena.pages.admin import admin_routes, no_gates
from arena.pages.reports import NEWEST, PER_PAGE, reports_routes

README = Path(__file__).resolve().parents[2] / "arena" / "README.md"
EVIL = "<script>alert('x')</script>\n=1+1\x1b[31m"


@dataclass(slots=True, kw_only=True)
class Desk:
    """An arena in which raters report pairs, and the pages that show it."""

    arena: Any
    now: datetime
    site: FastAPI

    def page(self, address: str) -> httpx.Response:
        """What the pages answer."""

        async def asked() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.site), base_url="http://arena") as client:
                return await client.get(address)

        return asyncio.run(asked())

    def report(self, rater: int, kind: str, comment: str = "", *, study: str = "shapes") -> None:
        """The rater reports the next pair, a minute after the last report."""
        self.now += timedelta(minutes=1)
        [pair] = self.arena.pairs(rater, count=1, study=study)
        self.arena.room.report(
            rater=rater,
            study=study,
            pair=pair.pair,
            round=1,
            kind=kind,
            comment=comment,
            key=str(uuid4()),
            rng=self.arena.rng,
            now=self.now,
        )

    def found(self, raters: str = "people", **wanted: Any) -> list[Any]:
        found: list[Any] = self.arena.ledger.reports(self.arena.ledger.study("shapes").id, raters=raters, **wanted)
        return found

    def cli(self, *words: str) -> Any:
        return CliRunner().invoke(app, [*words, "--arena", str(self.arena.home)], catch_exceptions=False)


@pytest.fixture
def desk(arena: Any, now: datetime) -> Desk:
    site = FastAPI()
    site.include_router(admin_routes(arena.ledger, quality=no_gates, clock=lambda: now))
    site.include_router(reports_routes(arena.ledger))
    arena.open(title="Shapes", votes_per_rater=8)
    return Desk(arena=arena, now=now, site=site)


def test_a_report_says_what_was_shown_where_and_what_the_rater_wrote(desk: Desk) -> None:
    rater = desk.arena.join()
    [pair] = desk.arena.pairs(rater, count=1)
    handed = desk.arena.ledger.pair_of_token(pair.pair)

    desk.report(rater, "broken", "Half of it is grey.")

    [report] = desk.found()
    assert (report.kind, report.comment, report.prompt, report.seed) == (
        "broken",
        "Half of it is grey.",
        pair.prompt,
        0,
    )
    assert (report.rater, report.simulated, report.withdrawn, report.pair_kind) == (rater, False, False, "study")
    assert report.at == desk.now
    sides = (handed.first, handed.second) if handed.first_left else (handed.second, handed.first)
    assert (report.left.entrant, report.right.entrant) == sides
    shown = [desk.arena.ledger.generated_image(side.image) for side in (report.left, report.right)]
    assert tuple(image.image_hash for image in shown) == handed.hashes
    assert tuple(image.entrant for image in shown) == sides


def test_reports_come_newest_first_by_kind_and_in_parts(desk: Desk) -> None:
    rater = desk.arena.join()
    for kind in ("skip", "broken", "skip", "offensive"):
        desk.report(rater, kind)

    assert [report.kind for report in desk.found()] == ["offensive", "skip", "broken", "skip"]
    assert [report.kind for report in desk.found(limit=2, offset=1)] == ["skip", "broken"]
    assert len(desk.found(kind="skip")) == 2
    counts = desk.arena.ledger.report_counts(desk.arena.ledger.study("shapes").id, raters="people")
    assert counts == {"skip": 2, "broken": 1, "offensive": 1}


def test_people_and_simulated_raters_and_studies_are_kept_apart(desk: Desk) -> None:
    desk.arena.open(name="other")
    desk.report(desk.arena.join(), "broken")
    desk.report(desk.arena.join(simulated=True), "skip")
    desk.report(desk.arena.join(study="other"), "offensive", study="other")

    assert [(report.kind, report.simulated) for report in desk.found("people")] == [("broken", False)]
    assert [(report.kind, report.simulated) for report in desk.found("simulated")] == [("skip", True)]
    assert len(desk.found("all")) == 2


def test_who_withdrew_is_not_quoted_any_more_and_the_report_stays(desk: Desk) -> None:
    rater = desk.arena.join()
    desk.report(rater, "offensive", "My name is Rosa.")

    desk.arena.ledger.withdraw(desk.arena.ledger.study("shapes").id, rater, now=desk.now)

    [report] = desk.found()
    assert (report.kind, report.comment, report.withdrawn) == ("offensive", "", True)
    for text in (desk.page("/admin/").text, desk.page("/admin/reports/?study=shapes").text):
        assert "Rosa" not in text
        assert "withdrew since" in text
    assert "Rosa" not in desk.cli("reports", "shapes", "--json").stdout


def test_a_comment_that_a_withdrawal_elsewhere_deleted_is_gone_from_the_page_at_once(desk: Desk) -> None:
    desk.arena.open(name="other")
    rater = desk.arena.join()
    desk.report(rater, "broken", "My name is Rosa.")
    before = desk.page("/admin/").text

    desk.arena.ledger.withdraw(desk.arena.ledger.study("other").id, rater, now=desk.now)

    assert "Rosa" in before
    assert "Rosa" not in desk.page("/admin/").text


def test_the_admin_page_shows_the_newest_with_their_images_and_leads_to_all(desk: Desk) -> None:
    rater = desk.arena.join()
    for number in range(NEWEST + 2):
        desk.report(rater, "skip", f"comment number {number}")

    text = desk.page("/admin/").text

    assert f"{NEWEST + 2} pairs were not judged: {NEWEST + 2} skipped." in text
    shown = re.findall(r"comment number (\d+)", text)
    assert shown == [str(number) for number in range(NEWEST + 1, 1, -1)]
    newest = desk.found()[0]
    for side in (newest.left, newest.right):
        assert f"/gallery/image/{side.image}" in text
        assert f"What {side.entrant} painted" in text
    assert f"{newest.at:%Y-%m-%d %H:%M}" in text
    assert newest.prompt in text
    assert "/admin/reports/?study=shapes&amp;raters=people" in text


def test_a_study_without_reports_says_so(desk: Desk) -> None:
    assert "Nobody reported or skipped a pair." in desk.page("/admin/").text
    assert "Nothing was reported." in desk.page("/admin/reports/?study=shapes").text
    assert "Nobody reported or skipped a pair in 'shapes@1'." in desk.cli("reports", "shapes").stderr
    assert json.loads(desk.cli("reports", "shapes", "--json").stdout) == []


def test_comments_stand_as_text_whatever_they_hold(desk: Desk) -> None:
    desk.report(desk.arena.join(), "offensive", EVIL)

    for page in ("/admin/", "/admin/reports/?study=shapes"):
        text = desk.page(page).text
        assert "<script>" not in text
        assert "&lt;script&gt;" in text


def test_simulated_raters_reports_are_marked(desk: Desk) -> None:
    desk.report(desk.arena.join(simulated=True), "skip")

    for page in ("/admin/?raters=simulated", "/admin/reports/?study=shapes&raters=simulated"):
        text = desk.page(page).text
        assert "made by a program, not by people" in text
        assert "simulated rater" in text
    assert "(simulated)" in desk.cli("reports", "shapes", "--raters", "all").stdout
    assert "1 skipped" not in desk.page("/admin/").text


def test_all_reports_are_paged_and_chosen_by_kind(desk: Desk) -> None:
    desk.arena.open(name="long", votes_per_rater=8)
    reports = PER_PAGE + 3
    for _ in range(0, reports, 4):
        rater = desk.arena.join(study="long")
        for kind in ("skip", "skip", "skip", "broken"):
            desk.report(rater, kind, study="long")
    reports = -(-reports // 4) * 4

    first, second, broken = (
        desk.page(f"/admin/reports/?study=long{rest}").text for rest in ("", "&page=2", "&kind=broken")
    )

    assert f"1–{PER_PAGE} of {reports}" in first
    assert 'rel="next"' in first
    assert f"{PER_PAGE + 1}–{reports} of {reports}" in second
    assert 'rel="prev"' in second
    assert f"of {reports // 4}" in broken
    assert broken.count('<span class="verdict poor">broken</span>') == reports // 4
    assert desk.page("/admin/reports/?study=nothing").status_code == 404
    assert desk.page("/admin/reports/?study=long&kind=boring").status_code == 422


def test_the_command_lists_them_for_people_and_for_programs(desk: Desk) -> None:
    rater = desk.arena.join()
    desk.report(rater, "skip")
    desk.report(rater, "broken", EVIL)

    table = desk.cli("reports", "shapes").stdout
    rows = json.loads(desk.cli("reports", "shapes", "--json", "--limit", "1").stdout)

    assert table.index("broken") < table.index("skip")
    assert "\x1b" not in table
    [row] = rows
    assert tuple(row) == REPORT_COLUMNS
    assert (row["kind"], row["comment"], row["ts"]) == ("broken", EVIL, desk.now.isoformat())
    assert {row["left"], row["right"]} <= {"old", "ant", "bee"}
    with pytest.raises(UnknownStudyError, match="There is no study 'nothing'"):
        desk.cli("reports", "nothing")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_export_writes_them_into_a_file_of_their_own(desk: Desk, tmp_path: Path, ending: str) -> None:
    desk.report(desk.arena.join(), "broken", 'a "grey" half,\nand more')
    desk.report(desk.arena.join(simulated=True), "skip")
    out = tmp_path / f"reports.{ending}"

    result = desk.cli("export", "shapes", "--out", str(tmp_path / "v.csv"), "--reports", str(out), "--raters", "all")

    if ending == "csv":
        with out.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["simulated"] for row in rows] == ["true", "false"]
    else:
        rows = parquet.read_table(out).to_pylist()
        assert [row["simulated"] for row in rows] == [True, False]
        assert rows[0]["ts"] == desk.now
    assert tuple(rows[0]) == REPORT_COLUMNS
    assert [row["comment"] for row in rows] == ["", 'a "grey" half,\nand more']
    assert "Wrote 2 reports to" in result.stderr


def test_a_file_name_that_says_nothing_is_refused_before_anything_is_written(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(ExportFormatError, match=r"reports\.txt' ends neither in"):
        desk.cli("export", "shapes", "--out", str(tmp_path / "v.csv"), "--reports", str(tmp_path / "reports.txt"))

    assert list(tmp_path.glob("*.csv")) == []


def test_the_readme_names_the_columns() -> None:
    assert f"`{', '.join(REPORT_COLUMNS)}`" in README.read_text(encoding="utf-8")
