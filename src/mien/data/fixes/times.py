"""When decisions were made: times as texts, of which earlier ones come first."""

from datetime import UTC, datetime


def to_moment(when: str) -> datetime | None:
    """Return the moment of a time in ISO 8601, in UTC; None if it is none.

    Examples:
        >>> to_moment("2026-11-29T22:41:54.123+01:00")
        datetime.datetime(2026, 11, 29, 21, 41, 54, 123000, tzinfo=datetime.timezone.utc)
    """
    try:
        return datetime.fromisoformat(when.strip()).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def to_time(moment: datetime) -> str:
    """Return a moment in UTC as it is written, to the millisecond.

    Examples:
        >>> to_time(datetime(2026, 11, 29, 21, 41, tzinfo=UTC))
        '2026-11-29T21:41:00.000Z'
    """
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
