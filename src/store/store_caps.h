/* SPDX-License-Identifier: Apache-2.0 */
/* What an S3 server does with conditions on changes. AWS holds them atomically on every operation;
 * others ignore them on some, silently, and then two hosts that change one object at the same
 * moment may overwrite each other. Each fact is known or not in one place, the store over the
 * bucket (store_s3.h): where a condition is not known to hold, the object is looked at just before,
 * which leaves a short window instead of none at all. (Not before deletes by the page: who sends
 * them has just listed what is there.) */
#ifndef PAILFS_STORE_STORE_CAPS_H
#define PAILFS_STORE_STORE_CAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/strbuf.h"

enum store_cap {
    STORE_CAP_PUT_IF_ABSENT,
    STORE_CAP_PUT_IF_MATCH,
    STORE_CAP_COPY_SOURCE, /* x-amz-copy-source-if-match */
    STORE_CAP_COPY_IF_ABSENT,
    STORE_CAP_COPY_IF_MATCH,
    STORE_CAP_COMPLETE_IF_ABSENT,
    STORE_CAP_COMPLETE_IF_MATCH,
    STORE_CAP_DELETE_IF_MATCH,
    STORE_CAP_DELETE_MANY_IF_MATCH, /* <ETag> of an object in DeleteObjects */
    STORE_CAP_MAX,
};
const char *store_cap_name(enum store_cap cap); /* "put-if-absent" ... */

enum store_cap_state {
    STORE_CAP_UNKNOWN,
    STORE_CAP_HELD,    /* refused when it does not hold, as far as one request can tell */
    STORE_CAP_IGNORED, /* accepted, and not looked at */
    STORE_CAP_REFUSED, /* the request is refused because it has one (501) */
};

struct store_caps {
    uint8_t state[STORE_CAP_MAX]; /* enum store_cap_state */
    bool bare_etags;              /* If-Match on PUT is compared without quotes */
};

struct store_caps store_caps_all(void); /* AWS */
/* Whether none is unknown. */
bool store_caps_known(const struct store_caps *c);
/* "put-if-absent=held ... bare-etags", for state.db and for people. */
void store_caps_print(const struct store_caps *c, struct strbuf *sb);
/* Takes that apart; what it does not know stays unknown. 0 or -EBADMSG. */
int store_caps_parse(const char *text, struct store_caps *ret);

#endif
