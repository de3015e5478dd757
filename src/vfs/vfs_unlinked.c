/* SPDX-License-Identifier: Apache-2.0 */
/* The content of a file that loses its name while somebody has it open for reading: small content
 * is read into memory before the key goes, large content is copied inside the store to a hidden
 * key, which is deleted at the last close. Nothing of this happens to files that nobody reads. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/log.h"
#include "meta/state.h"
#include "vfs/vfs_intent.h"

static bool is_gone(const struct s3_error *err)
{
    return err->kind == S3_ERROR_NO_SUCH_KEY || err->kind == S3_ERROR_PRECONDITION ||
           err->kind == S3_ERROR_ACCESS_DENIED;
}

/* ---- in memory ---- */

static int hold_locked(struct vfs *v, struct open_file *of, const char *key, struct s3_error *err)
{
    struct inode *i = of->inode;
    int r = 0;
    if (!of->writer) {
        struct writer_options o = {.key = key};
        if (i->attr.size > 0) {
            o.base_etag = o.if_match = i->attr.etag;
            o.base_size = i->attr.size;
        }
        r = writer_new(v->opts.data, &o, &of->writer);
    }
    if (r < 0)
        return r;
    pthread_mutex_unlock(&v->lock);
    r = writer_hold(of->writer, err);
    pthread_mutex_lock(&v->lock);
    return r;
}

/* ---- under a hidden key ---- */

int vfs_hidden_key(char key[VFS_HIDDEN_KEY_SIZE])
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return -EIO;
    size_t n = (size_t)snprintf(key, VFS_HIDDEN_KEY_SIZE, "%s/", VFS_HIDDEN_DIR);
    for (size_t i = 0; i < sizeof(bytes); i++)
        n += (size_t)snprintf(key + n, VFS_HIDDEN_KEY_SIZE - n, "%02x", bytes[i]);
    return 0;
}

static int hide_locked(struct vfs *v, struct open_file *of, const char *key, struct s3_error *err)
{
    const struct inode *i = of->inode;
    struct vfs_hidden *h = calloc(1, sizeof(*h));
    char etag[STORE_ETAG_SIZE];
    if (!h)
        return -ENOMEM;
    int r = vfs_hidden_key(h->key);
    memcpy(etag, i->attr.etag, sizeof(etag));
    struct vfs_copy c = {.source = key, .if_match = etag, .size = i->attr.size, .key = h->key};
    struct store_version version;
    struct store_object o = {0};
    /* What is being written has another size than what is there. */
    bool look = of->dirty;
    pthread_mutex_unlock(&v->lock);
    if (r == 0 && look && (r = store_head(v->store, key, &o, err)) == 0) {
        c.size = o.size;
        store_object_done(&o);
    }
    if (r == 0) {
        h->intent = vfs_intent_begin(v, STATE_INTENT_DELETE, h->key, NULL, NULL, 0);
        r = vfs_copy_object(v, &c, &version, err);
    }
    if (r < 0)
        vfs_intent_end(v, h->intent);
    pthread_mutex_lock(&v->lock);
    if (r < 0) {
        free(h);
        return r;
    }
    memcpy(h->etag, version.etag, sizeof(h->etag));
    of->hidden = h;
    return 0;
}

static void unhide_locked(struct vfs *v, struct open_file *of)
{
    struct vfs_hidden *h = TAKE_PTR(of->hidden);
    struct s3_error err = {0};
    if (!h)
        return;
    pthread_mutex_unlock(&v->lock);
    if (store_delete(v->store, h->key, NULL, &err) < 0) {
        char text[1024];
        log_warn("'%s', the content of a removed file that was open, could not be deleted: %s",
                 h->key, s3_error_describe(&err, text, sizeof(text)));
    } else {
        vfs_intent_end(v, h->intent);
    }
    free(h);
    pthread_mutex_lock(&v->lock);
}

/* ---- both ---- */

int vfs_preserve_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    struct inode *i = of->inode;
    char key[COMPONENT_LENGTH_MAX + 1];
    struct s3_error local = {0};
    if (i->readers == 0 || (of->absent && !of->writer) || of->kept || i->unlinked)
        return 0;
    bool had_writer = of->writer != NULL;
    int r = inode_key(i, COMPONENT_LENGTH_MAX, key);
    if (r == 0)
        r = hold_locked(v, of, key, &local);
    of->held = of->writer && !had_writer;
    if (r < 0 && of->held)
        vfs_writer_drop_locked(v, of);
    if (r == -EXDEV)
        r = hide_locked(v, of, key, &local);
    if (r < 0 && is_gone(&local))
        return 0; /* then there is nothing to keep */
    if (r < 0) {
        if (err)
            *err = local;
        return r;
    }
    if (i->readers > 0) {
        of->kept = true;
        of->refs++;
    } else {
        unhide_locked(v, of); /* closed meanwhile */
    }
    return 0;
}

void vfs_name_lost_locked(struct vfs *v, struct open_file *of)
{
    struct inode *i = of->inode;
    struct vfs_hidden h = {0};
    int r = 0;
    of->held = false;
    i->changes++; /* the handles look anew where the content is */
    if (of->hidden) {
        h = *of->hidden;
        memcpy(i->attr.etag, h.etag, sizeof(i->attr.etag));
    }
    if (!of->writer)
        return;
    /* What is written from now on has no name to be stored under. */
    pthread_mutex_unlock(&v->lock);
    writer_orphan(of->writer);
    if (h.key[0])
        r = writer_move_base(of->writer, h.key, h.etag);
    pthread_mutex_lock(&v->lock);
    if (r < 0)
        log_debug("'%s': a removed file cannot be read on: %s", h.key, strerror(-r));
}

void vfs_name_kept_locked(struct vfs *v, struct open_file *of)
{
    /* It knows neither attributes nor conditions: the next write makes another one. */
    if (of->held && !of->inode->unlinked)
        vfs_writer_drop_locked(v, of);
    if (!of->kept || of->inode->unlinked)
        return;
    of->kept = false;
    unhide_locked(v, of);
    vfs_open_file_put_locked(v, of);
}

void vfs_reader_left_locked(struct vfs *v, struct inode *i)
{
    struct open_file *of = i->open;
    if (--i->readers > 0 || !of || !of->kept)
        return;
    of->kept = false;
    unhide_locked(v, of);
    vfs_open_file_put_locked(v, of);
}
