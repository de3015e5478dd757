/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_fault.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/pool.h"

/* Delayed requests sleep on these. */
#define DELAY_THREADS 8u

struct fault_rule {
    struct store_fault_rule rule;
    uint64_t matched, applied;
    struct fault_rule *next;
};

struct fault_call {
    struct store_fault *f;
    struct fault_call *next; /* in held */
    struct store_fault_rule rule;
    enum store_op op;
    const void *in;
    void *out;
    store_done_fn done;
    void *ctx;
    /* For a cut GET: */
    struct store_get_in get;
    const struct store_sink *sink;
    struct store_sink cutting;
    uint64_t left;
    bool was_cut;
};

struct store_fault {
    struct store store; /* first */
    struct store *inner;
    struct clock *clock;
    struct threadpool *pool; /* made with the first delay */
    pthread_mutex_t lock;
    struct fault_rule *rules; /* protected by lock, as all below; in the order of adding */
    struct fault_call *held;  /* oldest first */
    unsigned n_held;
    uint64_t applied;
};

static void call_fail(struct fault_call *c)
{
    struct s3_error err;
    int r = s3_error_set(&err, c->rule.error, "as the script says");
    err.tries = c->rule.tries ? c->rule.tries : 1;
    err.maybe_done = err.tries > 1 || c->rule.lose_answer || c->rule.error == S3_ERROR_TIMEOUT;
    snprintf(err.code, sizeof(err.code), "%s", c->rule.code ? c->rule.code : "");
    snprintf(err.operation, sizeof(err.operation), "%s", store_op_name(c->op));
    c->done(c->ctx, r, &err);
    free(c);
}

static int cut_begin(void *ctx, const struct store_object *o)
{
    struct fault_call *c = ctx;
    return c->sink->begin ? c->sink->begin(c->sink->ctx, o) : 0;
}

static int cut_write(void *ctx, const void *data, size_t len)
{
    struct fault_call *c = ctx;
    size_t n = MIN((uint64_t)len, c->left);
    int r = n ? c->sink->write(c->sink->ctx, data, n) : 0;
    if (r)
        return r;
    c->left -= n;
    if (n == len)
        return 0;
    c->was_cut = true;
    return -EIO;
}

static void after_effect(void *ctx, int result, const struct s3_error *err)
{
    struct fault_call *c = ctx;
    if (!result || c->was_cut) {
        if (!result && c->out)
            store_out_done(c->op, c->out);
        call_fail(c);
        return;
    }
    c->done(c->ctx, result, err);
    free(c);
}

static void pass_done(void *ctx, int result, const struct s3_error *err)
{
    struct fault_call *c = ctx;
    c->done(c->ctx, result, err);
    free(c);
}

/* Delay and hold are over. */
static void call_go(struct fault_call *c)
{
    store_done_fn done = pass_done;
    const void *in = c->in;
    if (c->rule.error != S3_ERROR_NONE) {
        if (c->rule.cut && c->op == STORE_GET) {
            c->get = *(const struct store_get_in *)c->in;
            c->sink = c->get.sink;
            c->left = c->rule.cut_after;
            c->cutting = (struct store_sink){cut_begin, cut_write, c};
            c->get.sink = &c->cutting;
            in = &c->get;
        } else if (!c->rule.lose_answer) {
            call_fail(c);
            return;
        }
        done = after_effect;
    }
    int r = store_submit(c->f->inner, c->op, in, c->out, done, c);
    if (r) {
        struct s3_error err;
        s3_error_set(&err, S3_ERROR_CANCELLED, "not sent");
        c->done(c->ctx, r, &err);
        free(c);
    }
}

static void call_delay(void *arg)
{
    struct fault_call *c = arg;
    clock_sleep_ns(c->f->clock, c->rule.delay_ns);
    call_go(c);
}

static bool turn_locked(struct fault_rule *r, enum store_op op, const char *key)
{
    const struct store_fault_rule *rule = &r->rule;
    if (rule->op != STORE_OP_MAX ? rule->op != op : op == STORE_FLUSH) /* no request */
        return false;
    if (rule->prefix && strncmp(key, rule->prefix, strlen(rule->prefix)) != 0)
        return false;
    uint64_t index = r->matched++;
    if (index < rule->after || (rule->count && r->applied == rule->count))
        return false;
    if (rule->every && (index - rule->after) % rule->every != 0)
        return false;
    r->applied++;
    return true;
}

static bool find_rule_locked(struct store_fault *f, enum store_op op, const char *key,
                             struct store_fault_rule *ret)
{
    for (struct fault_rule *r = f->rules; r; r = r->next)
        if (turn_locked(r, op, key)) {
            *ret = r->rule;
            f->applied++;
            return true;
        }
    return false;
}

static int submit_delayed(struct store_fault *f, struct fault_call *c)
{
    pthread_mutex_lock(&f->lock);
    int r = f->pool ? 0 : threadpool_new(DELAY_THREADS, "store-fault", &f->pool);
    pthread_mutex_unlock(&f->lock);
    return r ? r : threadpool_submit(f->pool, call_delay, c);
}

static int fault_submit(struct store *s, enum store_op op, const void *in, void *out,
                        store_done_fn done, void *ctx)
{
    struct store_fault *f = CONTAINER_OF(s, struct store_fault, store);
    struct store_fault_rule rule;
    pthread_mutex_lock(&f->lock);
    bool found = find_rule_locked(f, op, store_in_key(op, in), &rule);
    pthread_mutex_unlock(&f->lock);
    if (!found)
        return store_submit(f->inner, op, in, out, done, ctx);

    struct fault_call *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->f = f;
    c->rule = rule;
    c->op = op;
    c->in = in;
    c->out = out;
    c->done = done;
    c->ctx = ctx;
    if (rule.hold) {
        SCOPE_LOCK(&f->lock);
        struct fault_call **link = &f->held;
        while (*link)
            link = &(*link)->next;
        *link = c;
        f->n_held++;
        return 0;
    }
    if (rule.delay_ns) {
        int r = submit_delayed(f, c);
        if (r)
            free(c);
        return r;
    }
    call_go(c);
    return 0;
}

unsigned store_fault_release(struct store *s, unsigned n)
{
    struct store_fault *f = CONTAINER_OF(s, struct store_fault, store);
    unsigned released = 0;
    while (!n || released < n) {
        pthread_mutex_lock(&f->lock);
        struct fault_call *c = f->held;
        if (c) {
            f->held = c->next;
            f->n_held--;
        }
        pthread_mutex_unlock(&f->lock);
        if (!c)
            break;
        call_go(c);
        released++;
    }
    return released;
}

unsigned store_fault_release_newest(struct store *s)
{
    struct store_fault *f = CONTAINER_OF(s, struct store_fault, store);
    pthread_mutex_lock(&f->lock);
    struct fault_call **link = &f->held;
    while (*link && (*link)->next)
        link = &(*link)->next;
    struct fault_call *c = *link;
    if (c) {
        *link = NULL;
        f->n_held--;
    }
    pthread_mutex_unlock(&f->lock);
    if (!c)
        return 0;
    call_go(c);
    return 1;
}

unsigned store_fault_held(struct store *s)
{
    struct store_fault *f = CONTAINER_OF(s, struct store_fault, store);
    SCOPE_LOCK(&f->lock);
    return f->n_held;
}

uint64_t store_fault_applied(struct store *s)
{
    struct store_fault *f = CONTAINER_OF(s, struct store_fault, store);
    SCOPE_LOCK(&f->lock);
    return f->applied;
}

int store_fault_add(struct store *s, const struct store_fault_rule *rule)
{
    struct store_fault *f = CONTAINER_OF(s, struct store_fault, store);
    struct fault_rule *r = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    r->rule = *rule;
    SCOPE_LOCK(&f->lock);
    struct fault_rule **link = &f->rules;
    while (*link)
        link = &(*link)->next;
    *link = r;
    return 0;
}

void store_fault_clear(struct store *s)
{
    struct store_fault *f = CONTAINER_OF(s, struct store_fault, store);
    SCOPE_LOCK(&f->lock);
    while (f->rules) {
        struct fault_rule *next = f->rules->next;
        free(f->rules);
        f->rules = next;
    }
    f->applied = 0;
}

static void fault_free(struct store *s)
{
    struct store_fault *f = CONTAINER_OF(s, struct store_fault, store);
    store_fault_release(s, 0);
    threadpool_free(f->pool);
    store_fault_clear(s);
    store_free(f->inner);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static const struct store_ops FAULT_OPS = {.submit = fault_submit, .free = fault_free};

int store_fault_new(struct store *inner, struct clock *clock, struct store **ret)
{
    struct store_fault *f = calloc(1, sizeof(*f));
    if (!f)
        return -ENOMEM;
    f->store.ops = &FAULT_OPS;
    f->inner = inner;
    f->clock = clock ? clock : clock_system();
    pthread_mutex_init(&f->lock, NULL);
    *ret = &f->store;
    return 0;
}
