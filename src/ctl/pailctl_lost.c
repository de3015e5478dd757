/* SPDX-License-Identifier: Apache-2.0 */
/* pailctl lost: lists what lost to another host, puts it back, forgets it. Works on the files of a
 * lost+found folder (meta/lost.h), named by its mount or, without one, by the state directory. What
 * needs credentials, an unfinished upload, the daemon of the mount does. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "ctl/ctl.h"
#include "ctl/pailctl.h"
#include "meta/lost.h"
#include "meta/names.h"

#define DAEMON_TIMEOUT_MS 600000u
#define COPY_BUFFER       (256u << 10)

struct place {
    char folder[PATH_MAX];     /* lost+found */
    char mountpoint[PATH_MAX]; /* "" = no mount */
    uid_t uid;
};

static int complain(const char *what, int error)
{
    fprintf(stderr, "pailctl: %s: %s\n", what, strerror(-error));
    return PAILCTL_FAILED;
}

static bool is_state_directory(const char *path)
{
    char inside[PATH_MAX];

    if (snprintf(inside, sizeof(inside), "%s/lost+found", path) >= (int)sizeof(inside) ||
        access(inside, F_OK) < 0)
        return false;
    if (snprintf(inside, sizeof(inside), "%s/lock", path) >= (int)sizeof(inside))
        return false;
    return access(inside, F_OK) == 0;
}

/* Prints why there is none. */
static int find_place(const char *path, struct place *ret)
{
    CLEANUP_STRBUF struct strbuf status = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);
    static const char label[] = "state_directory: ";
    const char *at;
    int n;

    memset(ret, 0, sizeof(*ret));
    if (is_state_directory(path)) {
        n = snprintf(ret->folder, sizeof(ret->folder), "%s/lost+found", path);
        return n < (int)sizeof(ret->folder) ? 0 : -ENAMETOOLONG;
    }
    if (pailctl_ask_mount(path, "status", ret->mountpoint, &ret->uid, &status) != PAILCTL_OK)
        return -ENOENT;
    at = strstr(strbuf_str(&status), label);
    n = at ? snprintf(ret->folder, sizeof(ret->folder), "%.*s/lost+found",
                      (int)strcspn(at + strlen(label), "\n"), at + strlen(label))
           : 0;
    if (n <= 0 || n >= (int)sizeof(ret->folder) || ret->folder[0] != '/') {
        fprintf(stderr, "pailctl: %s has no state directory, so it keeps nothing\n",
                ret->mountpoint);
        return -ENOENT;
    }
    return 0;
}

static int read_items(const char *path, struct place *place, struct lost_list *list)
{
    int r = find_place(path, place);

    if (r < 0)
        return r;
    r = lost_list(place->folder, list);
    if (r < 0)
        (void)complain(place->folder, r);
    return r;
}

/* Borrowed from list; prints that there is none. */
static const struct lost_item *find_item(const struct lost_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    fprintf(stderr, "pailctl: '%s' is not in lost+found (pailctl lost list)\n", name);
    return NULL;
}

static bool has_upload(const struct lost_item *item)
{
    return item->note.upload_id && *item->note.upload_id;
}

/* ---- list ---- */

int pailctl_lost_list(struct pailctl *p, int argc, char **argv)
{
    CLEANUP(lost_list_done) struct lost_list list = {0};
    struct place place;

    if (read_items(argv[0], &place, &list) < 0)
        return PAILCTL_FAILED;
    for (size_t i = 0; i < list.n; i++) {
        const struct lost_item *item = &list.items[i];
        char time[TIMEFMT_ISO8601_SIZE], size[32], missing[32];
        const struct pailctl_field fields[] = {
            {"name", item->name, false},
            {"time", time, false},
            {"size", size, true},
            {"reason", lost_reason_name(item->note.reason), false},
            {"missing", missing, true},
            {"base", item->note.base && *item->note.base ? item->note.base : NULL, false},
            {"key", *item->note.key ? item->note.key : NULL, false},
        };

        timefmt_iso8601(item->note.time_ns, time);
        (void)snprintf(size, sizeof(size), "%" PRIu64, item->note.size);
        (void)snprintf(missing, sizeof(missing), "%" PRIu64, item->note.missing_length);
        pailctl_out_row(p->out, fields, sizeof(fields) / sizeof(fields[0]));
    }
    return PAILCTL_OK;
}

/* ---- drop ---- */

static int ask_daemon(const struct place *place, const char *verb, const char *name)
{
    CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);
    CLEANUP_STRBUF struct strbuf request = STRBUF_INIT(LIMIT_CTL_MESSAGE);
    struct s3_error err = {0};

    (void)strbuf_appendf(&request, "%s %s", verb, name);
    if (ctl_request(place->mountpoint, place->uid, strbuf_str(&request), DAEMON_TIMEOUT_MS, &answer,
                    &err) < 0) {
        fprintf(stderr, "pailctl: %s: %s\n", name, err.message);
        return -EIO;
    }
    return 0;
}

static int drop_item(const struct place *place, const struct lost_item *item)
{
    int r;

    if (has_upload(item) && place->mountpoint[0])
        return ask_daemon(place, "lost-drop", item->name) < 0 ? PAILCTL_FAILED : PAILCTL_OK;
    r = lost_drop(place->folder, item->name);
    if (r < 0)
        return complain(item->name, r);
    if (has_upload(item))
        fprintf(
            stderr,
            "pailctl: the unfinished upload '%s' of '%s' stays in bucket '%s': abort it there\n",
            item->note.upload_id, item->note.key, item->note.bucket);
    return PAILCTL_OK;
}

int pailctl_lost_drop(struct pailctl *p, int argc, char **argv)
{
    CLEANUP(lost_list_done) struct lost_list list = {0};
    struct place place;
    int status = PAILCTL_OK;

    if (read_items(argv[0], &place, &list) < 0)
        return PAILCTL_FAILED;
    for (int i = 1; i < argc; i++) {
        const struct lost_item *item = find_item(&list, argv[i]);

        if (!item || drop_item(&place, item) != PAILCTL_OK)
            status = PAILCTL_FAILED;
    }
    return status;
}

/* ---- restore ---- */

/* The file that the mount shows for a key. */
static int path_of_key(const struct place *place, const struct lost_note *note, char *path,
                       size_t size)
{
    const char *key = note->key;
    size_t prefix = note->prefix ? strlen(note->prefix) : 0;
    size_t at = (size_t)snprintf(path, size, "%s", place->mountpoint);

    if (strncmp(key, note->prefix ? note->prefix : "", prefix) != 0)
        return -EINVAL;
    for (key += prefix; *key;) {
        size_t len = strcspn(key, "/");
        char name[NAME_LENGTH_MAX + 1];
        int r = name_from_component(key, len, false, name);

        if (r < 0)
            return r;
        at += (size_t)snprintf(path + at, at < size ? size - at : 0, "/%s", name);
        if (at >= size)
            return -ENAMETOOLONG;
        key += len + (key[len] == '/');
        /* What the component stands in must be there. */
        if (*key && mkdir(path, 0777) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

/* [from, end) of one file into the other; holes stay as they are where there is nothing yet. */
static int copy_range(int in, int out, uint64_t from, uint64_t end)
{
    CLEANUP_FREE char *buf = malloc(COPY_BUFFER);

    if (!buf)
        return -ENOMEM;
    while (from < end) {
        size_t want = end - from < COPY_BUFFER ? (size_t)(end - from) : COPY_BUFFER;
        ssize_t n = pread(in, buf, want, (off_t)from);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        for (ssize_t done = 0, w; done < n; done += w) {
            w = pwrite(out, buf + done, (size_t)(n - done), (off_t)(from + (uint64_t)done));
            if (w < 0 && errno == EINTR)
                w = 0;
            else if (w <= 0)
                return w < 0 ? -errno : -EIO;
        }
        from += (uint64_t)n;
    }
    return 0;
}

/* The content, but for what is missing, which is in the file already. */
static int copy_content(const struct lost_note *note, const char *from, const char *to, int flags)
{
    CLEANUP_FD int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int out, r;

    if (in < 0)
        return -errno;
    out = open(to, O_WRONLY | O_CLOEXEC | flags, 0666);
    if (out < 0)
        return -errno;
    r = copy_range(in, out, 0, note->missing_length ? note->missing_offset : note->size);
    if (r == 0 && note->missing_length)
        r = copy_range(in, out, note->missing_offset + note->missing_length, note->size);
    if (r == 0 && ftruncate(out, (off_t)note->size) < 0)
        r = -errno;
    if (r == 0 && fsync(out) < 0)
        r = -errno;
    if (close(out) < 0 && r == 0)
        r = -errno;
    return r;
}

/* The daemon puts the beginning under the key; the rest is written over that. */
static int restore_upload(const struct pailctl *p, const struct place *place,
                          const struct lost_item *item, const char *from, const char *to)
{
    if (!place->mountpoint[0] || p->options.to) {
        fprintf(
            stderr,
            "pailctl: a part of '%s' is in S3 alone, as an unfinished upload to its key: it can be "
            "restored there only, with its bucket mounted and without --to\n",
            item->name);
        return -EOPNOTSUPP;
    }
    if (ask_daemon(place, p->options.overwrite ? "lost-complete over" : "lost-complete new",
                   item->name) < 0)
        return -EREMOTEIO;
    return copy_content(&item->note, from, to, 0);
}

static int restore_item(struct pailctl *p, const struct place *place, const struct lost_item *item)
{
    char from[PATH_MAX], to[PATH_MAX];
    int flags = O_CREAT | (p->options.overwrite ? O_TRUNC : O_EXCL), r;

    if (snprintf(from, sizeof(from), "%s/%s", place->folder, item->name) >= (int)sizeof(from))
        return complain(item->name, -ENAMETOOLONG);
    if (!p->options.to && !place->mountpoint[0]) {
        fputs("pailctl: without a mount, say where to: --to PATH\n", stderr);
        return PAILCTL_USAGE;
    }
    if (!p->options.to && !*item->note.key) {
        fprintf(stderr, "pailctl: nothing says what '%s' was meant for: --to PATH\n", item->name);
        return PAILCTL_USAGE;
    }
    r = lost_verify(place->folder, item);
    if (r == -EBADMSG && !p->options.to) {
        fprintf(stderr,
                "pailctl: the content of '%s' is not what was kept: damaged, or changed since; "
                "--to PATH takes it out as it is\n",
                item->name);
        return PAILCTL_FAILED;
    }
    if (r == -EBADMSG)
        fprintf(stderr, "pailctl: '%s' is damaged, or was changed since it was kept\n", item->name);
    else if (r < 0)
        return complain(item->name, r);
    if (p->options.to)
        r = snprintf(to, sizeof(to), "%s", p->options.to) < (int)sizeof(to) ? 0 : -ENAMETOOLONG;
    else
        r = path_of_key(place, &item->note, to, sizeof(to));
    if (r < 0)
        return complain(item->name, r);
    r = item->note.missing_length ? restore_upload(p, place, item, from, to)
                                  : copy_content(&item->note, from, to, flags);
    if (r == -EOPNOTSUPP || r == -EREMOTEIO)
        return PAILCTL_FAILED;
    if (r == -EEXIST) {
        fprintf(stderr,
                "pailctl: '%s' exists: --overwrite replaces it, --to PATH puts it elsewhere\n", to);
        return PAILCTL_FAILED;
    }
    if (r < 0)
        return complain(to, r);
    r = lost_drop(place->folder, item->name);
    return r < 0 ? complain(item->name, r) : PAILCTL_OK;
}

int pailctl_lost_restore(struct pailctl *p, int argc, char **argv)
{
    CLEANUP(lost_list_done) struct lost_list list = {0};
    const struct lost_item *item;
    struct place place;

    if (read_items(argv[0], &place, &list) < 0)
        return PAILCTL_FAILED;
    item = find_item(&list, argv[1]);
    return item ? restore_item(p, &place, item) : PAILCTL_FAILED;
}
