"""Dates and times in a text, in the forms in which people write them. Pure."""

from __future__ import annotations

import re
from typing import Final

MONTHS: Final = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
PLAIN_WORDS: Final = ("may", "march")  # months that are other words, too, unless they are written large
DATE: Final = "[date]"
_MONTH: Final = "|".join([*MONTHS, "sept", *(each[:3] for each in MONTHS)])
_YEAR: Final = r"(?:19|20)\d{2}"
_TENS: Final = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twenty|thirty|ninety|oh"
_ONES: Final = "one|two|three|four|five|six|seven|eight|nine"
# What a quoted text may not be trusted to hold is replaced where it stands; the order is that of the longest first.
_NUMBERED: Final = re.compile(
    rf"""(?xi)
    (?<!\d)\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:[t\ ]\d{{1,2}}:\d{{2}}(?::\d{{2}}(?:\.\d+)?)?\ ?(?:z|utc|[+-]\d{{2}}:?\d{{2}})?)?
    | (?<!\d)\d{{1,2}}[-/.]\d{{1,2}}[-/.](?:\d{{4}}|\d{{2}})(?!\d)
    | (?<!\d){_YEAR}[-/]\d{{1,4}}(?!\d) | (?<![\d.])\d{{1,2}}/(?:{_YEAR}|\d{{1,2}})(?![\d.])
    | (?<![a-z0-9])\d{{1,2}}(?:st|nd|rd|th)?[\ -]?(?:of\ )?(?:{_MONTH})(?![a-z])\.?(?:[,'\ -]*\d{{4}}|'?\d{{2}}(?!\d))?
    | (?<![a-z])(?:{_MONTH})\.?[\ _-]?'?\d{{1,2}}(?:st|nd|rd|th)?(?![a-z0-9])(?:,?\ \d{{4}})?
    | (?<![a-z])(?:{_MONTH}){_YEAR}(?!\d)
    | (?<!\d){_YEAR}\d{{4}}(?!\d) | (?<!\d)\d{{10}}(?:\.\d+)?(?!\d) | (?<!\d)\d{{13}}(?!\d)
    | (?:\b(?:q[1-4]|h[12]|fy)[\ ']*)?(?<!\d){_YEAR}(?!\d) | (?<![a-z0-9])(?:q[1-4]|h[12]|fy'?\d{{2}})(?![a-z0-9])
    | (?<!\w)'\d{{2}}\b
    | \b(?:(?:nineteen|twenty)[\ -](?:{_TENS})|two[\ ]thousand(?:\ and)?[\ -](?:{_TENS}|{_ONES}))(?:[\ -](?:{_ONES}))?\b
    | \b\d{{1,2}}:\d{{2}}(?::\d{{2}})?(?:\ ?(?:utc|gmt|am|pm|est|edt|cet))?\b
    """
)
# Inside words, too: `prevFridayClose`, `december_high`.
_WORDS: Final = re.compile(rf"(?i){'|'.join(each for each in (*MONTHS, *DAYS) if each not in PLAIN_WORDS)}")
_LARGE: Final = re.compile(
    r"(?<![A-Z])(?:May|March|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|Mon|Tue|Wed|Thu|Fri|Sat|Sun)(?![a-z])\.?"
    r"|(?<![A-Za-z])(?:MAY|MARCH|JAN|FEB|MAR|APR|JUN|JUL|AUG|SEPT?|OCT|NOV|DEC|MON|TUE|WED|THU|FRI|SAT|SUN)(?![A-Za-z])"
)
# What a moment is called: `listed_at`, `SEEN_TIME`, `updatedTime`, `expiry`, `open_ts_ms`, `close_time_utc`, `ack_ms`.
_MOMENT: Final = re.compile(
    r"(?i)(?:(?:(?:^|[_ -])(?:at|time|ts|date)|(?-i:[a-z](?:At|Time|Ts|Date))|timestamp|published|since|until|expir\w*)"
    r"(?:[_ -]?(?:[mun]?s|utc))?|[_ -]ms)$"
)


def is_moment(key: str) -> bool:
    """Whether a number that goes by this name is a moment, where it can be one."""
    return _MOMENT.search(key) is not None


def undated(text: str) -> str:
    """The text with a sign in the place of each date and each time."""
    for pattern in (_NUMBERED, _WORDS, _LARGE):
        text = pattern.sub(DATE, text)
    return text
