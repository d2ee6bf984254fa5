"""Which days are quiet, which are worked: the calendar behind the contact rules.

Three days a year nobody is contacted (C15): the eve and the first day of Spring Festival, and
清明. They follow the moon and the sun, so they are known years ahead; the public-holiday table
(days off, swapped weekends) is published each November for the next year only. chinesecalendar
carries that table; for a year it does not know yet, weekends and the fixed holidays stand in.
"""

from __future__ import annotations

from datetime import date, timedelta

import chinese_calendar

# First day of Spring Festival (正月初一) by year.
SPRING_FESTIVAL = {
    2020: date(2020, 1, 25), 2021: date(2021, 2, 12), 2022: date(2022, 2, 1),
    2023: date(2023, 1, 22), 2024: date(2024, 2, 10), 2025: date(2025, 1, 29),
    2026: date(2026, 2, 17), 2027: date(2027, 2, 6), 2028: date(2028, 1, 26),
    2029: date(2029, 2, 13), 2030: date(2030, 2, 3), 2031: date(2031, 1, 23),
    2032: date(2032, 2, 11), 2033: date(2033, 1, 31), 2034: date(2034, 2, 19),
    2035: date(2035, 2, 8), 2036: date(2036, 1, 28), 2037: date(2037, 2, 15),
    2038: date(2038, 2, 4), 2039: date(2039, 1, 24), 2040: date(2040, 2, 12),
}  # fmt: skip

# Statutory days off of years chinesecalendar does not know yet; without the State Council's
# swaps of weekends, which are published later. (月，日) per 全国年节及纪念日放假办法 (2025).
_STATUTORY_DAYS: dict[int, frozenset[date]] = {
    2027: frozenset(
        [date(2027, 1, 1)]
        + [date(2027, 2, day) for day in (5, 6, 7, 8)]
        + [date(2027, 4, 5), date(2027, 5, 1), date(2027, 5, 2), date(2027, 6, 9)]
        + [date(2027, 9, 15), date(2027, 10, 1), date(2027, 10, 2), date(2027, 10, 3)]
    ),
}


def qingming(year: int) -> date:
    """Return the 清明 day of a year from 2000 to 2099 (the usual solar-term formula).

    Raises ValueError outside that century: the constants are fitted to it.
    """
    if not 2000 <= year <= 2099:
        raise ValueError(f"no 清明 constants for {year}")
    years = year % 100
    # 0.2422 y + 4.81 in ten-thousandths, minus the leap days before this spring.
    return date(year, 4, (2422 * years + 48100) // 10000 - years // 4)


def quiet_days(year: int) -> frozenset[date]:
    """Return the days of a year on which nobody is contacted (C15).

    The eve and first day of Spring Festival, and 清明. Raises LookupError for a year outside the
    table above: an unknown quiet day must not be taken for an ordinary one.
    """
    first = SPRING_FESTIVAL.get(year)
    if first is None:
        raise LookupError(f"Spring Festival of {year} is not in the table")
    return frozenset({first - timedelta(days=1), first, qingming(year)})


def is_quiet(day: date) -> bool:
    """Tell whether `day` is one of the quiet days of its year."""
    return day in quiet_days(day.year)


def is_working_day(day: date) -> bool:
    """Tell whether offices work on `day` (swapped weekends included where published)."""
    try:
        return chinese_calendar.is_workday(day)
    except NotImplementedError:  # the library knows no table for that year yet
        return day.weekday() < 5 and day not in _STATUTORY_DAYS.get(day.year, frozenset())


def add_working_days(day: date, days: int) -> date:
    """Return the date `days` working days after `day` (C13: an answer within 3 of them)."""
    while days > 0:
        day += timedelta(days=1)
        days -= is_working_day(day)
    return day
