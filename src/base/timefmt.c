/* SPDX-License-Identifier: Apache-2.0 */
#include "base/timefmt.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"

static const char MONTHS[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char WEEKDAYS[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

struct civil {
    unsigned year, month, day; /* month and day from 1 */
    unsigned hour, minute, second;
};

/* Days since 1970-01-01 in the Gregorian calendar; years begin in March, so that the leap day is
 * a year's last. */
static int64_t days_from_civil(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

static void civil_from_ns(int64_t ns, struct civil *c, unsigned *ms, unsigned *weekday)
{
    int64_t seconds = ns / NS_PER_S, rest = ns % NS_PER_S;
    if (rest < 0) {
        rest += NS_PER_S;
        seconds--;
    }
    int64_t days = seconds / 86400, in_day = seconds % 86400;
    if (in_day < 0) {
        in_day += 86400;
        days--;
    }
    /* int64 nanoseconds reach from 1677 to 2262: everything below is positive. */
    int64_t z = days + 719468;
    int64_t era = z / 146097;
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    c->day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    c->month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    c->year = (unsigned)(yoe + era * 400 + (c->month <= 2));
    c->hour = (unsigned)(in_day / 3600);
    c->minute = (unsigned)(in_day / 60 % 60);
    c->second = (unsigned)(in_day % 60);
    *ms = (unsigned)(rest / NS_PER_MS);
    *weekday = (unsigned)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

static unsigned days_in_month(unsigned year, unsigned month)
{
    static const unsigned char DAYS[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return DAYS[month - 1] + (month == 2 && leap);
}

/* Times that int64 cannot hold (years outside 1677..2262) become its nearest end: an expiry in
 * the year 9999 means never, and is no reason to refuse what carries it. */
static int civil_to_ns(const struct civil *c, int64_t fraction_ns, int64_t *ret_ns)
{
    if (c->month < 1 || c->month > 12 || c->day < 1 || c->day > days_in_month(c->year, c->month) ||
        c->hour > 23 || c->minute > 59 || c->second > 60)
        return -EINVAL;
    int64_t seconds = days_from_civil(c->year, c->month, c->day) * 86400 + c->hour * 3600 +
                      c->minute * 60 + c->second;
    int64_t ns;
    if (__builtin_mul_overflow(seconds, NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, fraction_ns, &ns))
        ns = seconds < 0 ? INT64_MIN : INT64_MAX;
    *ret_ns = ns;
    return 0;
}

/* Reads exactly `digits` decimal digits at *s and moves on. */
static bool take_number(const char **s, unsigned digits, unsigned *ret)
{
    unsigned v = 0;
    for (unsigned i = 0; i < digits; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        v = v * 10 + (unsigned)(**s - '0');
    }
    *ret = v;
    return true;
}

static bool take_literal(const char **s, const char *text)
{
    size_t len = strlen(text);
    if (strncmp(*s, text, len) != 0)
        return false;
    *s += len;
    return true;
}

static bool take_name(const char **s, const char (*names)[4], unsigned n, unsigned *ret)
{
    for (unsigned i = 0; i < n; i++) {
        if (take_literal(s, names[i])) {
            *ret = i;
            return true;
        }
    }
    return false;
}

int timefmt_parse_iso8601(const char *s, int64_t *ret_ns)
{
    struct civil c;
    if (!s || !take_number(&s, 4, &c.year) || !take_literal(&s, "-") ||
        !take_number(&s, 2, &c.month) || !take_literal(&s, "-") || !take_number(&s, 2, &c.day) ||
        !take_literal(&s, "T") || !take_number(&s, 2, &c.hour) || !take_literal(&s, ":") ||
        !take_number(&s, 2, &c.minute) || !take_literal(&s, ":") || !take_number(&s, 2, &c.second))
        return -EINVAL;

    int64_t fraction = 0;
    if (*s == '.') {
        int64_t unit = NS_PER_S;
        s++;
        if (*s < '0' || *s > '9')
            return -EINVAL;
        for (; *s >= '0' && *s <= '9'; s++) {
            unit /= 10; /* digits after the ninth count nothing */
            fraction += (*s - '0') * unit;
        }
    }
    if (strcmp(s, "Z") != 0 && strcmp(s, "+00:00") != 0)
        return -EINVAL;
    return civil_to_ns(&c, fraction, ret_ns);
}

int timefmt_parse_basic(const char *s, int64_t *ret_ns)
{
    struct civil c;
    if (!s || !take_number(&s, 4, &c.year) || !take_number(&s, 2, &c.month) ||
        !take_number(&s, 2, &c.day) || !take_literal(&s, "T") || !take_number(&s, 2, &c.hour) ||
        !take_number(&s, 2, &c.minute) || !take_number(&s, 2, &c.second) || strcmp(s, "Z") != 0)
        return -EINVAL;
    return civil_to_ns(&c, 0, ret_ns);
}

int timefmt_parse_http(const char *s, int64_t *ret_ns)
{
    struct civil c;
    unsigned weekday, month;
    if (!s || !take_name(&s, WEEKDAYS, 7, &weekday) || !take_literal(&s, ", ") ||
        !take_number(&s, 2, &c.day) || !take_literal(&s, " ") ||
        !take_name(&s, MONTHS, 12, &month) || !take_literal(&s, " ") ||
        !take_number(&s, 4, &c.year) || !take_literal(&s, " ") || !take_number(&s, 2, &c.hour) ||
        !take_literal(&s, ":") || !take_number(&s, 2, &c.minute) || !take_literal(&s, ":") ||
        !take_number(&s, 2, &c.second) || strcmp(s, " GMT") != 0)
        return -EINVAL;
    c.month = month + 1;
    return civil_to_ns(&c, 0, ret_ns);
}

void timefmt_iso8601(int64_t ns, char out[TIMEFMT_ISO8601_SIZE])
{
    struct civil c;
    unsigned ms, weekday;
    civil_from_ns(ns, &c, &ms, &weekday);
    snprintf(out, TIMEFMT_ISO8601_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", c.year % 10000,
             c.month % 100, c.day % 100, c.hour % 100, c.minute % 100, c.second % 100, ms % 1000);
}

void timefmt_basic(int64_t ns, char out[TIMEFMT_BASIC_SIZE])
{
    struct civil c;
    unsigned ms, weekday;
    civil_from_ns(ns, &c, &ms, &weekday);
    snprintf(out, TIMEFMT_BASIC_SIZE, "%04u%02u%02uT%02u%02u%02uZ", c.year % 10000, c.month % 100,
             c.day % 100, c.hour % 100, c.minute % 100, c.second % 100);
}

void timefmt_http(int64_t ns, char out[TIMEFMT_HTTP_SIZE])
{
    struct civil c;
    unsigned ms, weekday;
    civil_from_ns(ns, &c, &ms, &weekday);
    snprintf(out, TIMEFMT_HTTP_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", WEEKDAYS[weekday],
             c.day % 100, MONTHS[(c.month - 1) % 12], c.year % 10000, c.hour % 100, c.minute % 100,
             c.second % 100);
}
