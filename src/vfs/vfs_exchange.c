/* SPDX-License-Identifier: Apache-2.0 */
/* renameat2's RENAME_EXCHANGE of two files: through a hidden key, three copies and a delete, noted
 * in an intent. Whatever fails, both contents are there, if not under which names one would like.
 * After the first copy there always is one content that a single key has, so a copy that failed is
 * looked for: its answer may have been lost, and the server may be at it still. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "meta/mime.h"
#include "meta/state.h"
#include "vfs/vfs_intent.h"
/* For a moment while two inodes exchange their names; no key can have this component. */
#define BETWEEN "\n/"

#define METADATA_BYTES_MAX (256u << 10)

/* A copy that was given up may come until then; servers give up themselves, much earlier. */
#define LATE_NS (3600 * NS_PER_S)

struct side {
    struct open_file *of;
    struct inode *dir;
    char component[COMPONENT_LENGTH_MAX + 1];
    char key[COMPONENT_LENGTH_MAX + 1];
    char etag[STORE_ETAG_SIZE];
    uint64_t size;
    const struct store_attrs *carried; /* NULL = as they are */
    struct store_version version;      /* of what has this name afterwards */
    bool undone;                       /* it is a copy of what had this name before */
    /* what carried is of */
    struct arena arena;
    struct store_object o;
    struct store_attrs attrs;
};

/* ---- copies whose answer may be lost ---- */

enum outcome {
    DONE,
    NOT_DONE,
    NOT_YET, /* a try that the server did not answer may still be carried out */
    UNKNOWN,
};

/* 0 with *o empty when it is not there. */
static int look(struct vfs *v, const char *key, struct store_object *o, struct s3_error *err)
{
    struct s3_error local = {0};
    *o = (struct store_object){0};
    int r = store_head(v->store, key, o, &local);
    if (r < 0 && local.kind == S3_ERROR_NO_SUCH_KEY)
        return 0;
    if (r < 0 && err)
        *err = local;
    return r;
}

/* What is there now, which another host may have replaced already. */
static int learn_version(struct vfs *v, const char *key, struct store_version *ret)
{
    struct store_object o;
    if (ret->etag[0])
        return 0;
    int r = store_head(v->store, key, &o, NULL);
    if (r < 0)
        return r;
    *ret = (struct store_version){.mtime_ns = o.mtime_ns};
    memcpy(ret->etag, o.etag, sizeof(ret->etag));
    store_object_done(&o);
    return 0;
}

/* before: the ETag of what the failed copy was to replace, "" = nothing. Another object of that
 * size, or a newer one, is no copy: it has to have the ETag or the bytes of the source. */
static enum outcome find_out(struct vfs *v, const struct vfs_copy *c, const char *before,
                             const struct s3_error *failure, struct store_version *ret)
{
    struct store_object now = {0};
    enum outcome outcome = UNKNOWN;
    int r = look(v, c->key, &now, NULL);
    if (r == 0 && strcmp(now.etag, before) == 0) { /* both are "": it is not there */
        bool answered = !failure->maybe_done && failure->kind != S3_ERROR_CANCELLED;
        outcome = answered ? NOT_DONE : NOT_YET;
    } else if (r == 0 && now.etag[0]) {
        struct vfs_content source = {c->source, c->if_match, c->size};
        struct vfs_content there = {c->key, now.etag, now.size};
        *ret = (struct store_version){.mtime_ns = now.mtime_ns};
        memcpy(ret->etag, now.etag, sizeof(ret->etag));
        /* Nobody else knows the hidden key. */
        if (!before[0] || vfs_same_content(v, &source, &there, NULL, NULL) == 1)
            outcome = DONE;
    }
    store_object_done(&now);
    return outcome;
}

/* replaces: the ETag of what has that key, "" = nothing. attrs: NULL = the source's. *ret may be
 * without an ETag: not every server tells that of a copy in parts. *result: 0 when it is done. */
static enum outcome copy(struct vfs *v, const char *source, const char *etag, uint64_t size,
                         const char *key, const char *replaces, const struct store_attrs *attrs,
                         struct store_version *ret, int *result, struct s3_error *err)
{
    struct vfs_copy c = {.source = source,
                         .if_match = etag,
                         .size = size,
                         .key = key,
                         .replaces = replaces[0] ? replaces : NULL,
                         .attrs = attrs};
    struct s3_error local = {0};
    int r = vfs_copy_object(v, &c, ret, &local);
    enum outcome outcome = r < 0 ? find_out(v, &c, replaces, &local, ret) : DONE;
    *result = outcome == DONE ? 0 : r;
    if (outcome != DONE && err)
        *err = local;
    return outcome;
}

/* ---- the intent ---- */

#define STEP_HIDE   '1' /* `key` is copied to the hidden key; the others are as they were */
#define STEP_FIRST  '2' /* `key2` to `key` */
#define STEP_SECOND '3' /* the hidden key to `key2` */
#define STEP_FAILED 'x' /* nothing goes on, but a copy to `key` may still come */

struct swap {
    struct vfs *v;
    struct side *a, *b;
    char hidden[VFS_HIDDEN_KEY_SIZE];
    struct store_version h; /* what is there */
    bool told;              /* a's version is that of the copy */
    uint64_t intent;
};

#define PAYLOAD_MAX (4 * STORE_ETAG_SIZE + VFS_HIDDEN_KEY_SIZE + 2)

static size_t write_payload(const struct swap *s, char step, char payload[PAYLOAD_MAX])
{
    const char text[] = {step, '\0'};
    const char *parts[] = {s->a->etag, s->b->etag, s->hidden, text, s->h.etag, s->a->version.etag};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        size_t len = strlen(parts[i]) + 1;
        memcpy(payload + n, parts[i], len);
        n += len;
    }
    return n;
}

static int begin_intent(struct swap *s)
{
    char payload[PAYLOAD_MAX];
    size_t n = write_payload(s, STEP_HIDE, payload);
    return vfs_intent_require(s->v, STATE_INTENT_RENAME_FILE, s->a->key, s->b->key, payload, n,
                              &s->intent);
}

/* On disk before the step begins. */
static int enter(struct swap *s, char step)
{
    char payload[PAYLOAD_MAX];
    size_t n = write_payload(s, step, payload);
    return state_intent_update(s->v->opts.state, s->intent, payload, n);
}

/* ---- the steps ---- */

/* What the hidden key has is under a name as well, or was never needed. */
static void end(struct swap *s)
{
    if (store_delete(s->v->store, s->hidden, NULL, NULL) == 0)
        vfs_intent_end(s->v, s->intent);
}

static void keep(const struct swap *s, const char *why)
{
    log_error("'%s' and '%s' could not be exchanged, and %s: what '%s' had stays in '%s', which "
              "the next mount looks at",
              s->a->key, s->b->key, why, s->a->key, s->hidden);
}

static int hide(struct swap *s, struct s3_error *err)
{
    int r;
    enum outcome o =
        copy(s->v, s->a->key, s->a->etag, s->a->size, s->hidden, "", s->a->carried, &s->h, &r, err);
    if (o == DONE && (r = learn_version(s->v, s->hidden, &s->h)) < 0)
        o = UNKNOWN;
    if (o == DONE && (r = enter(s, STEP_FIRST)) == 0)
        return 0;
    if (o == DONE || o == NOT_DONE)
        end(s);
    else /* if it is made after this, the next mount deletes it */
        (void)store_delete(s->v->store, s->hidden, NULL, NULL);
    return r;
}

static int first_step(struct swap *s, struct s3_error *err)
{
    int r;
    enum outcome o = copy(s->v, s->b->key, s->b->etag, s->b->size, s->a->key, s->a->etag,
                          s->b->carried, &s->a->version, &r, err);
    if (o == DONE) {
        s->told = s->a->version.etag[0] != '\0';
        (void)learn_version(s->v, s->a->key, &s->a->version);
        /* Without this note the contents have to tell. */
        (void)enter(s, STEP_SECOND);
    } else if (o == NOT_DONE) {
        end(s);
    } else if (o == NOT_YET) {
        (void)enter(s, STEP_FAILED);
        keep(s, "the server may still copy the one to the other");
    } else {
        keep(s, "which content has which name is not known");
    }
    return r;
}

/* In the hidden key it may be that of the new name. */
static const char *type_before(const struct side *s)
{
    const struct inode *i = s->of->inode;
    if (s->o.etag[0])
        return s->o.attrs.content_type;
    return S_ISREG(i->attr.mode) && !i->content_type ? mime_type(s->component)
                                                     : s->attrs.content_type;
}

/* Only when nothing can come after it: what `key2` has is under its own name and `key`'s. */
static void go_back(struct swap *s)
{
    struct store_version undone;
    struct store_attrs attrs = s->a->attrs;
    const struct store_attrs *back = s->a->carried ? &attrs : NULL;
    int r;
    attrs.content_type = type_before(s->a);
    if (!s->told || copy(s->v, s->hidden, s->h.etag, s->a->size, s->a->key, s->a->version.etag,
                         back, &undone, &r, NULL) != DONE) {
        keep(s, "that could not be undone");
        return;
    }
    (void)learn_version(s->v, s->a->key, &undone);
    end(s);
    s->a->version = undone;
    s->a->undone = true;
}

static int second_step(struct swap *s, struct s3_error *err)
{
    int r;
    enum outcome o = NOT_YET;
    bool late = false;
    /* Going back is closed when a copy may still come. A second one does no harm: each is refused
     * when another has been there. */
    for (int tries = 0; o == NOT_YET && tries < 2; tries++) {
        late = tries > 0;
        o = copy(s->v, s->hidden, s->h.etag, s->a->size, s->b->key, s->b->etag, NULL,
                 &s->b->version, &r, err);
    }
    if (o == DONE) {
        (void)learn_version(s->v, s->b->key, &s->b->version);
        end(s);
    } else if (o == NOT_DONE && !late)
        go_back(s);
    else
        keep(s, "both may have what the second had");
    return r;
}

/* In the store. Whatever fails, and whosever answer is lost: the hidden key is deleted when what it
 * has is known to be under one of the names, and not otherwise. */
static int exchange(struct vfs *v, struct side *a, struct side *b, struct s3_error *err)
{
    struct swap s = {.v = v, .a = a, .b = b};
    int r = vfs_hidden_key(s.hidden);
    if (r == 0)
        r = begin_intent(&s);
    if (r == 0)
        r = hide(&s, err);
    if (r == 0)
        r = first_step(&s, err);
    return r == 0 ? second_step(&s, err) : r;
}

/* And here. */
static void swap_names_locked(struct vfs *v, struct side *a, struct side *b)
{
    struct inode *i = a->of->inode, *k = b->of->inode;
    int r = inode_move(&v->inodes, i, a->dir, BETWEEN);
    if (r == 0)
        r = inode_move(&v->inodes, k, a->dir, a->component);
    if (r == 0)
        r = inode_move(&v->inodes, i, b->dir, b->component);
    struct side *sides[] = {a, b};
    for (size_t n = 0; n < ARRAY_SIZE(sides); n++) {
        struct inode *was = sides[n]->of->inode;
        const struct store_version *version = &sides[1 - n]->version;
        memcpy(was->attr.etag, version->etag, sizeof(was->attr.etag));
        was->attr_until_ns = r == 0 ? vfs_after(vfs_now(v), v->opts.metadata_ttl_ns) : 0;
        was->changes++;
        was->version++;
        vfs_dir_changed_locked(v, sides[n]->dir);
        if (r < 0) {
            vfs_listing_drop_locked(v, sides[n]->dir);
            inode_unlink(&v->inodes, was); /* without memory: found anew by its name */
        }
    }
    for (size_t n = 0; n < ARRAY_SIZE(sides) && r == 0; n++) {
        struct inode *was = sides[n]->of->inode;
        vfs_renamed_attrs_locked(v, was, sides[1 - n]->dir, &sides[n]->o,
                                 sides[1 - n]->version.mtime_ns);
        if (was->parent == sides[1 - n]->dir)
            vfs_listing_put_locked(v, was->parent, was);
    }
}

static int prepare_locked(struct vfs *v, struct side *s, const struct side *other,
                          struct s3_error *err)
{
    struct inode *i = s->of->inode;
    if (i->unlinked)
        return -ENOENT;
    int r = vfs_commit_locked(v, s->of, err);
    if (r == 0 && !i->attr.etag[0]) { /* not every server tells it of what was written */
        i->attr_until_ns = 0;
        r = vfs_refresh_locked(v, i, err);
        if (r == 0 && !i->attr.etag[0])
            r = -ESTALE;
    }
    if (r == 0)
        r = vfs_rename_mark_locked(v, other->dir, i, err);
    if (r == 0)
        r = inode_key(i, v->opts.key_max, s->key);
    if (r < 0)
        return r;
    memcpy(s->etag, i->attr.etag, sizeof(s->etag));
    struct vfs_copy c = {.source = s->key, .size = i->attr.size};
    r = vfs_rename_attrs_locked(v, s->of, other->component, &c, s->etag, &s->arena, &s->o,
                                &s->attrs, err);
    s->size = c.size;
    s->carried = c.attrs;
    if (r == 0 && strcmp(s->etag, i->attr.etag) != 0) {
        i->attr_until_ns = 0;
        return -ESTALE; /* another host's, by now */
    }
    return r;
}

static int exchange_locked(struct vfs *v, struct side *a, struct side *b, struct s3_error *err)
{
    int r = prepare_locked(v, a, b, err);
    if (r == 0)
        r = prepare_locked(v, b, a, err);
    if (r < 0)
        return r;
    pthread_mutex_unlock(&v->lock);
    r = exchange(v, a, b, err);
    pthread_mutex_lock(&v->lock);
    if (a->undone) {
        memcpy(a->of->inode->attr.etag, a->version.etag, sizeof(a->version.etag));
        vfs_renamed_attrs_locked(v, a->of->inode, a->dir, &a->o, a->version.mtime_ns);
    }
    if (r < 0) {
        a->of->inode->attr_until_ns = b->of->inode->attr_until_ns = 0;
        return err && err->kind == S3_ERROR_PRECONDITION ? -ESTALE : r;
    }
    swap_names_locked(v, a, b);
    pthread_mutex_unlock(&v->lock);
    if (a->of->writer)
        r = writer_set_key(a->of->writer, b->key, b->version.etag);
    if (r == 0 && b->of->writer)
        r = writer_set_key(b->of->writer, a->key, a->version.etag);
    pthread_mutex_lock(&v->lock);
    return r;
}

int vfs_exchange_locked(struct vfs *v, struct open_file *of[2], struct inode *dir,
                        struct s3_error *err)
{
    struct inode *dirs[] = {of[0]->inode->parent, dir};
    struct side *sides;
    if (!v->opts.state)
        return -EOPNOTSUPP; /* it could not be noted */
    if (!dirs[0] || of[1]->inode->parent != dir)
        return -ENOENT;
    sides = calloc(ARRAY_SIZE(dirs), sizeof(*sides));
    if (!sides)
        return -ENOMEM;
    for (size_t n = 0; n < ARRAY_SIZE(dirs); n++) {
        const struct inode *i = of[n]->inode;
        sides[n].of = of[n];
        sides[n].dir = dirs[n];
        arena_init(&sides[n].arena, METADATA_BYTES_MAX);
        memcpy(sides[n].component, i->name, i->name_len + 1);
    }
    int r = exchange_locked(v, &sides[0], &sides[1], err);
    for (size_t n = 0; n < ARRAY_SIZE(dirs); n++) {
        store_object_done(&sides[n].o);
        arena_done(&sides[n].arena);
    }
    free(sides);
    return r;
}

/* ---- after a crash ---- */

/* What the notes say of the copies; "" = they were not there yet, or an earlier version wrote it.
 */
struct noted {
    const char *etag_a, *etag_b; /* before */
    const char *hidden;
    char step; /* 0: an earlier version */
    const char *etag_first;
};

static void read_noted(const struct state_intent *t, struct noted *n)
{
    const char *p = n->hidden, *limit = (const char *)t->payload + t->payload_len;
    const char *parts[] = {"", "", ""};
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
        p += strlen(p) + 1; /* a NUL follows the payload */
        if (p >= limit)
            break;
        parts[i] = p;
    }
    n->step = parts[0][0];
    n->etag_first = parts[2];
}

struct found {
    struct store_object a, b, h;
};

struct recovery {
    struct vfs *v;
    const struct state_intent *t;
    const struct noted *n;
    const struct found *f;
    struct s3_error *err;
};

static bool is(const struct store_object *o, const char *etag)
{
    return o->etag[0] && strcmp(o->etag, etag) == 0;
}

/* 1: both have the same content. Nothing else is proof enough to delete the only copy, or to
 * replace what is under the second name: files are of one size often. */
static int is_same(const struct recovery *c, const char *key, const struct store_object *o,
                   const char *key2, const struct store_object *o2)
{
    struct vfs_content one = {key, o->etag, o->size}, other = {key2, o2->etag, o2->size};
    return vfs_same_content(c->v, &one, &other, c->v->recover_stop, c->err);
}

/* 1: the first name has what the second had, which has it still. */
static int is_first_done(const struct recovery *c)
{
    const struct found *f = c->f;
    if (is(&f->a, c->n->etag_b) || is(&f->a, c->n->etag_first))
        return 1;
    return is_same(c, c->t->key, &f->a, c->t->key2, &f->b);
}

/* 1: what the first file had is under one of the names, or need not be. */
static int has_a_name(const struct recovery *c)
{
    const struct found *f = c->f;
    /* Only another host's object can be in its place. */
    bool not_begun = c->n->step == STEP_HIDE;
    if (not_begun || is(&f->a, c->n->etag_a) || is(&f->a, f->h.etag) || is(&f->b, f->h.etag))
        return 1;
    int r = is_same(c, c->t->key, &f->a, c->n->hidden, &f->h);
    return r == 0 ? is_same(c, c->t->key2, &f->b, c->n->hidden, &f->h) : r;
}

/* The one to the other, if that is what it was. 1 when it is done. */
static int go_on(const struct recovery *c, const char *from, const struct store_object *o,
                 const char *to, const struct store_object *replaced)
{
    struct store_version version;
    struct s3_error local = {0};
    int r;
    enum outcome outcome =
        copy(c->v, from, o->etag, o->size, to, replaced->etag, NULL, &version, &r, &local);
    if (outcome == DONE)
        return 1;
    if (local.kind == S3_ERROR_PRECONDITION && outcome != NOT_YET)
        return 0; /* another host was faster */
    if (c->err)
        *c->err = local;
    return r;
}

/* All three are as they were when the first copy was to be made, and the server may be at it still:
 * whatever was said to the program, only going on makes sure that this is not the end of what the
 * first file had. A copy that was given up is waited for. */
static int settle_first(const struct recovery *c)
{
    const struct found *f = c->f;
    if (c->n->step == STEP_FAILED) {
        int64_t age = clock_realtime_ns(c->v->clock) - c->t->time_ns;
        return age >= 0 && age < LATE_NS ? -EINPROGRESS : 1;
    }
    int r = go_on(c, c->t->key2, &f->b, c->t->key, &f->a);
    return r > 0 ? go_on(c, c->n->hidden, &f->h, c->t->key2, &f->b) : r;
}

/* 1: the hidden key is not needed any more. */
static int settle(const struct recovery *c)
{
    const struct noted *n = c->n;
    const struct found *f = c->f;
    bool second_is_as_it_was = is(&f->b, n->etag_b);
    bool may_come = n->step == STEP_FIRST || n->step == STEP_FAILED;
    if (may_come && is(&f->a, n->etag_a) && second_is_as_it_was)
        return settle_first(c);
    int done = has_a_name(c);
    if (done != 0 || n->step == STEP_FAILED || !second_is_as_it_was)
        return done;
    int r = is_first_done(c);
    return r > 0 ? go_on(c, n->hidden, &f->h, c->t->key2, &f->b) : r;
}

static int finish(const struct recovery *c)
{
    int r = settle(c);
    if (r < 0)
        return r;
    if (r > 0)
        return store_delete(c->v->store, c->n->hidden, NULL, c->err);
    /* Whether that was to go as well cannot be told any more. */
    log_error(
        "'%s' or '%s' has been replaced by another host in the middle of their exchange: what "
        "'%s' had is kept as the object '%s'; copy it to where it belongs, or delete it, "
        "with any S3 tool",
        c->t->key, c->t->key2, c->t->key, c->n->hidden);
    return 0;
}

int vfs_recover_exchange(struct vfs *v, const struct state_intent *t, const char *etag_a,
                         const char *etag_b, const char *hidden, struct s3_error *err)
{
    struct noted n = {.etag_a = etag_a, .etag_b = etag_b, .hidden = hidden};
    struct found f = {0};
    read_noted(t, &n);
    int r = look(v, t->key, &f.a, err);
    if (r == 0)
        r = look(v, t->key2, &f.b, err);
    if (r == 0)
        r = look(v, hidden, &f.h, err);
    if (r == 0 && f.h.etag[0])
        r = finish(&(struct recovery){.v = v, .t = t, .n = &n, .f = &f, .err = err});
    store_object_done(&f.a);
    store_object_done(&f.b);
    store_object_done(&f.h);
    return r;
}
