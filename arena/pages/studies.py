"""The studies as the pages offer them, for choosing one."""

from dataclasses import dataclass

from arena.ledger.records import StudyRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEntry:
    """`key` is what `Ledger.study` takes: the name, and for an older version "name@version"."""

    key: str
    title: str


def newest_versions(records: list[StudyRecord]) -> list[StudyRecord]:
    """The newest version of each study; open ones first, and the last opened before the earlier."""
    newest: dict[str, StudyRecord] = {}
    for record in records:
        known = newest.get(record.name)
        if known is None or record.version > known.version:
            newest[record.name] = record
    return sorted(newest.values(), key=lambda record: (not record.is_open, -record.id))


def study_entries(records: list[StudyRecord]) -> list[StudyEntry]:
    """Every version of every study, in the order of `newest_versions`; the newest version goes by the bare name."""
    entries = []
    for newest in newest_versions(records):
        title = newest.study.shown_title
        entries.append(StudyEntry(key=newest.name, title=title))
        older = (record for record in records if record.name == newest.name and record.version != newest.version)
        entries += [
            StudyEntry(key=f"{record.name}@{record.version}", title=f"{title} (version {record.version})")
            for record in sorted(older, key=lambda record: -record.version)
        ]
    return entries
