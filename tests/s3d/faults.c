/* SPDX-License-Identifier: Apache-2.0 */
#include "faults.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "route.h"

#define RULES_MAX 256

struct rule {
    char op[40];     /* "" for any */
    char bucket[64]; /* "" for any */
    char key[1100];  /* prefix */
    size_t key_len;
    uint64_t after; /* matches that pass before it may strike */
    uint64_t every; /* of the later ones, each n-th; 0: each */
    uint64_t count; /* strikes in all; 0: no end */
    uint64_t seen, struck;
    struct fault fault;
    char text[256]; /* as given */
};

struct faults {
    pthread_mutex_t lock;
    struct rule *rules; /* protected by lock */
    unsigned count;     /* protected by lock */
};

static const struct {
    const char *name;
    enum { ARG_NONE, ARG_NUMBER, ARG_OPTIONAL, ARG_STATUS, ARG_DELTA, ARG_CODE } arg;
} actions[FAULT_ACTION_MAX] = {
    [FAULT_NONE] = {"", ARG_NONE},
    [FAULT_STATUS] = {"status", ARG_STATUS},
    [FAULT_DELAY] = {"delay", ARG_NUMBER},
    [FAULT_STALL] = {"stall", ARG_OPTIONAL},
    [FAULT_CUT] = {"cut", ARG_OPTIONAL},
    [FAULT_RESET] = {"reset", ARG_OPTIONAL},
    [FAULT_WRONG_CHECKSUM] = {"wrong-checksum", ARG_NONE},
    [FAULT_CORRUPT_BODY] = {"corrupt-body", ARG_NONE},
    [FAULT_BROKEN_XML] = {"broken-xml", ARG_NONE},
    [FAULT_TRUNCATED_XML] = {"truncated-xml", ARG_NONE},
    [FAULT_WRONG_LENGTH] = {"wrong-length", ARG_DELTA},
    [FAULT_200_ERROR] = {"200-error", ARG_CODE},
    [FAULT_REPEAT_TOKEN] = {"repeat-token", ARG_NONE},
    [FAULT_EMPTY_BODY] = {"empty-body", ARG_NONE},
    [FAULT_HANG] = {"hang", ARG_NONE},
    [FAULT_LOST_ANSWER] = {"lost-answer", ARG_NONE},
    [FAULT_FEWER_PARTS] = {"fewer-parts", ARG_NONE},
};

const char *fault_action_name(enum fault_action a)
{
    return actions[a].name;
}

struct faults *faults_new(void)
{
    struct faults *f = calloc(1, sizeof(*f));

    if (f)
        pthread_mutex_init(&f->lock, NULL);
    return f;
}

void faults_free(struct faults *f)
{
    if (!f)
        return;
    free(f->rules);
    free(f);
}

/* "503:SlowDown" */
static bool parse_status(struct fault *out, char *arg)
{
    char *colon = strchr(arg, ':');
    uint64_t status;

    if (colon)
        *colon++ = '\0';
    if (parse_u64(arg, &status) < 0 || status < 200 || status > 599)
        return false;
    out->status = (int)status;
    snprintf(out->code, sizeof(out->code), "%s", colon ? colon : "InjectedFault");
    return true;
}

static bool parse_action(struct fault *out, char *value)
{
    char *arg = strchr(value, ':');

    if (arg)
        *arg++ = '\0';
    for (unsigned a = FAULT_NONE + 1; a < FAULT_ACTION_MAX; a++) {
        if (strcmp(value, actions[a].name))
            continue;
        out->action = a;
        switch (actions[a].arg) {
        case ARG_NONE:
            return !arg;
        case ARG_NUMBER:
            return arg && parse_u64(arg, &out->amount) == 0;
        case ARG_OPTIONAL:
            return !arg || parse_u64(arg, &out->amount) == 0;
        case ARG_STATUS:
            return arg && parse_status(out, arg);
        case ARG_DELTA:
            out->delta = 1;
            return !arg ||
                   (parse_i64(arg[0] == '+' ? arg + 1 : arg, &out->delta) == 0 && out->delta != 0);
        case ARG_CODE:
            snprintf(out->code, sizeof(out->code), "%s", arg ? arg : "InternalError");
            return true;
        }
    }
    return false;
}

static bool parse_word(struct rule *rule, char *word)
{
    char *value = strchr(word, '=');

    if (!value)
        return false;
    *value++ = '\0';
    if (!strcmp(word, "op")) {
        /* A rule for an operation that does not exist would be a test that cannot fail. */
        for (unsigned i = 0; i < route_count(); i++) {
            if (!strcmp(value, route_name(i)))
                snprintf(rule->op, sizeof(rule->op), "%s", value);
        }
        return rule->op[0] != '\0' || !strcmp(value, "*");
    }
    if (!strcmp(word, "bucket")) {
        snprintf(rule->bucket, sizeof(rule->bucket), "%s", value);
        return true;
    }
    if (!strcmp(word, "key")) {
        if (strlen(value) >= sizeof(rule->key))
            return false;
        return decode_percent(value, false, rule->key, &rule->key_len) == 0;
    }
    if (!strcmp(word, "count"))
        return parse_u64(value, &rule->count) == 0 && rule->count;
    if (!strcmp(word, "every"))
        return parse_u64(value, &rule->every) == 0 && rule->every;
    if (!strcmp(word, "after"))
        return parse_u64(value, &rule->after) == 0;
    if (!strcmp(word, "when")) {
        rule->fault.after = !strcmp(value, "after");
        return rule->fault.after || !strcmp(value, "before");
    }
    if (!strcmp(word, "action"))
        return parse_action(&rule->fault, value);
    return false;
}

/* 1: a rule, 0: nothing on this line, -1: wrong. */
static int parse_line(struct rule *rule, const char *line, size_t len, char *bad, size_t bad_size)
{
    CLEANUP_FREE char *copy = strndup(line, len);
    char *save = NULL;

    if (!copy)
        return -1;
    memset(rule, 0, sizeof(*rule));
    copy[strcspn(copy, "#")] = '\0';
    snprintf(rule->text, sizeof(rule->text), "%.*s",
             (int)strcspn(copy + strspn(copy, " \t\r"), "\r"), copy + strspn(copy, " \t\r"));
    for (char *word = strtok_r(copy, " \t\r", &save); word; word = strtok_r(NULL, " \t\r", &save)) {
        char shown[128];

        snprintf(shown, sizeof(shown), "%s", word);
        if (!parse_word(rule, word)) {
            snprintf(bad, bad_size, "%s", shown);
            return -1;
        }
    }
    if (!rule->text[0])
        return 0;
    if (rule->fault.action == FAULT_NONE) {
        snprintf(bad, bad_size, "no action= in '%s'", rule->text);
        return -1;
    }
    return 1;
}

int faults_add(struct faults *f, const char *text, size_t len, char *message, size_t size)
{
    CLEANUP_FREE struct rule *fresh = calloc(RULES_MAX, sizeof(*fresh));
    unsigned n = 0, line_number = 0;
    struct rule *grown;
    char bad[320];

    if (!fresh) {
        snprintf(message, size, "out of memory");
        return -ENOMEM;
    }
    for (const char *p = text, *end = text + len; p < end;) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        size_t line_len = eol ? (size_t)(eol - p) : (size_t)(end - p);
        int got;

        line_number++;
        if (n == RULES_MAX) {
            snprintf(message, size, "more than %d rules", RULES_MAX);
            return -E2BIG;
        }
        got = parse_line(&fresh[n], p, line_len, bad, sizeof(bad));
        if (got < 0) {
            snprintf(message, size, "line %u: cannot understand '%s'", line_number, bad);
            return -EINVAL;
        }
        n += (unsigned)got;
        p += line_len + 1;
    }
    SCOPE_LOCK(&f->lock);
    if (f->count + n > RULES_MAX) {
        snprintf(message, size, "more than %d rules", RULES_MAX);
        return -E2BIG;
    }
    grown = realloc(f->rules, (f->count + n + 1) * sizeof(*grown));
    if (!grown) {
        snprintf(message, size, "out of memory");
        return -ENOMEM;
    }
    f->rules = grown;
    memcpy(grown + f->count, fresh, n * sizeof(*grown));
    f->count += n;
    return 0;
}

void faults_clear(struct faults *f)
{
    SCOPE_LOCK(&f->lock);
    f->count = 0;
}

void faults_write(struct faults *f, struct strbuf *out)
{
    SCOPE_LOCK(&f->lock);
    for (unsigned i = 0; i < f->count; i++) {
        const struct rule *rule = &f->rules[i];

        strbuf_appendf(out, "%s # matched %llu, struck %llu\n", rule->text,
                       (unsigned long long)rule->seen, (unsigned long long)rule->struck);
    }
}

static bool rule_is_due(struct rule *rule)
{
    rule->seen++;
    if (rule->seen <= rule->after || (rule->count && rule->struck >= rule->count))
        return false;
    return !rule->every || (rule->seen - rule->after) % rule->every == 0;
}

struct fault faults_match(struct faults *f, const char *op, const char *bucket, const char *key,
                          size_t key_len)
{
    SCOPE_LOCK(&f->lock);
    for (unsigned i = 0; i < f->count; i++) {
        struct rule *rule = &f->rules[i];

        if ((rule->op[0] && strcmp(rule->op, op)) ||
            (rule->bucket[0] && strcmp(rule->bucket, bucket)))
            continue;
        if (rule->key_len &&
            (!key || key_len < rule->key_len || memcmp(key, rule->key, rule->key_len)))
            continue;
        if (rule_is_due(rule)) {
            rule->struck++;
            return rule->fault;
        }
    }
    return (struct fault){.action = FAULT_NONE};
}
