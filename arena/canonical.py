"""One value, one text: JSON written so that equal values have equal bytes, and can be hashed.

Keys are sorted, no blanks, text as it is in UTF-8. Pure.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

_HOLDERS = (dict, list, tuple)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """`value` (dict with str keys, list, tuple, str, int, finite float, bool, None) as its one JSON text.

    Floats are written as Python's shortest text that reads back to the same number. Raises ValueError for NaN,
    infinity and a key that is no string, TypeError for anything else that JSON lacks.
    """
    if isinstance(value, _HOLDERS):
        _refuse_odd_keys(value)
    return _ENCODER.encode(value)


def sha256_hex(text: str) -> str:
    """SHA-256 of the text in UTF-8, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def utc_text(moment: datetime) -> str:
    """ISO 8601 in UTC with microseconds ("2024-05-01T12:00:00.000000+00:00"): equal moments, equal texts.

    Raises ValueError for a moment without a time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"The moment {moment} has no time zone.")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _refuse_odd_keys(value: Any) -> None:
    # json.dumps would turn the keys 1 and True into "1" and "true" without a word.
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"The key {key!r} is no string.")
        value = value.values()
    for item in value:
        if isinstance(item, _HOLDERS):
            _refuse_odd_keys(item)
