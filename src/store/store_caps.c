/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_caps.h"

#include <errno.h>
#include <string.h>

#include "base/attr.h"

#define BARE_ETAGS "bare-etags"

static const char *const cap_names[STORE_CAP_MAX] = {
    [STORE_CAP_PUT_IF_ABSENT] = "put-if-absent",
    [STORE_CAP_PUT_IF_MATCH] = "put-if-match",
    [STORE_CAP_COPY_SOURCE] = "copy-source",
    [STORE_CAP_COPY_IF_ABSENT] = "copy-if-absent",
    [STORE_CAP_COPY_IF_MATCH] = "copy-if-match",
    [STORE_CAP_COMPLETE_IF_ABSENT] = "complete-if-absent",
    [STORE_CAP_COMPLETE_IF_MATCH] = "complete-if-match",
    [STORE_CAP_DELETE_IF_MATCH] = "delete-if-match",
    [STORE_CAP_DELETE_MANY_IF_MATCH] = "delete-many-if-match",
};
static const char *const state_names[] = {
    [STORE_CAP_UNKNOWN] = "unknown",
    [STORE_CAP_HELD] = "held",
    [STORE_CAP_IGNORED] = "ignored",
    [STORE_CAP_REFUSED] = "refused",
};

const char *store_cap_name(enum store_cap cap)
{
    return (unsigned)cap < STORE_CAP_MAX ? cap_names[cap] : "?";
}

struct store_caps store_caps_all(void)
{
    struct store_caps c = {0};

    memset(c.state, STORE_CAP_HELD, sizeof(c.state));
    return c;
}

bool store_caps_known(const struct store_caps *c)
{
    for (int i = 0; i < STORE_CAP_MAX; i++)
        if (c->state[i] == STORE_CAP_UNKNOWN)
            return false;
    return true;
}

void store_caps_print(const struct store_caps *c, struct strbuf *sb)
{
    for (int i = 0; i < STORE_CAP_MAX; i++)
        (void)strbuf_appendf(sb, "%s%s=%s", i ? " " : "", cap_names[i],
                             c->state[i] < ARRAY_SIZE(state_names) ? state_names[c->state[i]]
                                                                   : "unknown");
    if (c->bare_etags)
        (void)strbuf_append_str(sb, " " BARE_ETAGS);
}

static int set_one(struct store_caps *c, const char *word, size_t len)
{
    const char *equals = memchr(word, '=', len);

    if (!equals) {
        c->bare_etags |= len == strlen(BARE_ETAGS) && strncmp(word, BARE_ETAGS, len) == 0;
        return 0;
    }
    for (int i = 0; i < STORE_CAP_MAX; i++) {
        size_t name = (size_t)(equals - word), value = len - name - 1;

        if (name != strlen(cap_names[i]) || strncmp(word, cap_names[i], name) != 0)
            continue;
        for (unsigned k = 0; k < ARRAY_SIZE(state_names); k++) {
            if (value == strlen(state_names[k]) &&
                strncmp(equals + 1, state_names[k], value) == 0) {
                c->state[i] = (uint8_t)k;
                return 0;
            }
        }
        return -EBADMSG;
    }
    return 0; /* of another version of pailfs */
}

int store_caps_parse(const char *text, struct store_caps *ret)
{
    struct store_caps c = {0};

    while (*text) {
        size_t len = strcspn(text, " ");

        if (len > 0 && set_one(&c, text, len) < 0)
            return -EBADMSG;
        text += len + (text[len] == ' ');
    }
    *ret = c;
    return 0;
}
