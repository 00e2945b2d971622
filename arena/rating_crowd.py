"""What a crowd site's link says of who comes: a person, their submission, or only a preview. Pure.

In: a study's `Crowd` and the query parameters of its page. Out: the person's key and the submission's ids, to be kept
as keyed hashes. Nothing here starts anything.
Source: Prolific's placeholders {{%PROLIFIC_PID%}}, {{%STUDY_ID%}} and {{%SESSION_ID%}}; the parameters that MTurk adds
to an ExternalQuestion's address: assignmentId, hitId, workerId.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from arena.ledger.errors import NotInvitedError, UnfilledLinkError
from arena.study_parts import Crowd
from prompts.errors import quoted

#: The sites as they write their own names.
SITE_NAMES = {"prolific": "Prolific", "mturk": "MTurk"}

#: What names a submission beside the person: the site's own study or task, and the person's go at it.
_SUBMISSION = {"prolific": ("STUDY_ID", "SESSION_ID"), "mturk": ("hitId", "assignmentId")}
#: Of these the one that is new for every go.
_SESSION = {"prolific": "SESSION_ID", "mturk": "assignmentId"}
#: What MTurk writes while a worker only looks at a task; there may be no worker's id then.
_PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
# {{%PROLIFIC_PID%}}, {{ id }}, ${workerId}
_PLACEHOLDER = re.compile(r"\{\{.*\}\}|\$\{.*\}")
_LONGEST_PERSON = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class CrowdVisit:
    """Somebody a crowd site sent: `person` and each of `submission` (by parameter) name them to us, under a secret."""

    person: str
    submission: Mapping[str, str]


def is_preview(crowd: Crowd, arrival: Mapping[str, str]) -> bool:
    """Whether a worker looks at the task before accepting it."""
    return crowd.site == "mturk" and arrival.get("assignmentId", "").strip() == _PREVIEW


def read_visit(crowd: Crowd, arrival: Mapping[str, str]) -> CrowdVisit:
    """Who comes. Raises NotInvitedError without the site's id, UnfilledLinkError where a placeholder stands for one."""
    given = {name: arrival.get(name, "").strip() for name in (crowd.id_parameter, *_SUBMISSION[crowd.site])}
    site = SITE_NAMES[crowd.site]
    for name, value in given.items():
        if _PLACEHOLDER.search(value):
            raise UnfilledLinkError(
                f"{site} did not fill in {name}: this address says {quoted(value)}. Open the study from {site} itself; "
                "if you did, its link is set up wrongly there."
            )
    person = given.pop(crowd.id_parameter)
    if not 1 <= len(person) <= _LONGEST_PERSON:
        raise NotInvitedError(f"This study takes raters from {site} only: open it by the site's own link.")
    submission = {name: f"{crowd.site}:{name}:{value}" for name, value in given.items() if value}
    return CrowdVisit(person=person_key(crowd, person), submission=submission)


def person_key(crowd: Crowd, person: str) -> str:
    """What stands for a person of the site."""
    return f"{crowd.site}:{person.strip()}"


def session_key(crowd: Crowd, session: str) -> str:
    """What stands for one go of a person at the study: Prolific's session, MTurk's assignment."""
    return f"{crowd.site}:{_SESSION[crowd.site]}:{session.strip()}"


def way_back(crowd: Crowd) -> str:
    """Where the site is, for who goes back without a code; "" where the declaration does not say."""
    if not crowd.return_url:
        return ""
    place = urlsplit(crowd.return_url)
    return f"{place.scheme}://{place.netloc}/"
