/* SPDX-License-Identifier: Apache-2.0 */
/* The format of the log is SQLite's, https://www.sqlite.org/fileformat2.html#walformat: a header of
 * 32 bytes and frames of 24 bytes and a page each. A frame's checksum goes over the header and all
 * frames up to it. It is linear (mod 2^32) in the 32-bit words that it goes over, so the difference
 * that one changed word makes tells which word it may have been, and by how much it was changed.
 * The CRC of each frame, noted beside the end, decides between several. */
#include "meta/state_wal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/crc.h"
#include "base/log.h"
#include "meta/state_impl.h"

#define HEADER_SIZE 32u
#define FRAME_SIZE  24u
#define END_SIZE    48u
#define CRCS_AT     64u    /* in wal-end: of each frame, 4 bytes */
#define SALTS_AT    16u    /* in the header */
#define LOGS_MAX    65536u /* since the note */
#define PAGE_MAX    65536u
#define MAGIC       0x377f0682u /* the lowest bit: words are big-endian in checksums */

/* As SQLite does by itself, unless a hook is in its place. */
#define CHECKPOINT_FRAMES 1000

struct wal_end {
    uint8_t header[HEADER_SIZE];
    uint32_t frames;
    uint8_t sum[8]; /* of the last frame, as it stands there */
};

struct state_wal {
    char *path, *end_path;
    int wal_fd, end_fd; /* -1 = not open yet */
    struct wal_end end; /* as noted last */
    uint8_t *frame;     /* room for one */
    uint32_t frame_size;
};

struct sum {
    uint32_t s0, s1;
};

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_be32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t le32(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void put_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static struct sum sum_at(const uint8_t *p)
{
    return (struct sum){be32(p), be32(p + 4)};
}

static void put_sum(uint8_t *p, struct sum s)
{
    put_be32(p, s.s0);
    put_be32(p + 4, s.s1);
}

static bool sum_is(struct sum a, struct sum b)
{
    return a.s0 == b.s0 && a.s1 == b.s1;
}

/* len is a multiple of 8. */
static struct sum sum_over(struct sum s, bool big, const uint8_t *p, size_t len)
{
    for (; len >= 8; p += 8, len -= 8) {
        s.s0 += (big ? be32(p) : le32(p)) + s.s1;
        s.s1 += (big ? be32(p + 4) : le32(p + 4)) + s.s0;
    }
    return s;
}

static char *join(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static bool read_at(int fd, void *buf, size_t len, uint64_t at)
{
    return pread(fd, buf, len, (off_t)at) == (ssize_t)len;
}

static bool write_at(int fd, const void *buf, size_t len, uint64_t at)
{
    return pwrite(fd, buf, len, (off_t)at) == (ssize_t)len;
}

/* ---- the note ---- */

static void end_encode(const struct wal_end *e, uint8_t out[END_SIZE])
{
    memcpy(out, e->header, HEADER_SIZE);
    put_le32(out + 32, e->frames);
    memcpy(out + 36, e->sum, 8);
    put_le32(out + 44, crc32c_update(0, out, 44));
}

/* 0, -ENOENT when there is none, -EBADMSG. */
static int end_read(int fd, struct wal_end *ret)
{
    uint8_t text[END_SIZE];
    if (fd < 0)
        return -ENOENT;
    if (!read_at(fd, text, sizeof(text), 0) || le32(text + 44) != crc32c_update(0, text, 44))
        return -EBADMSG;
    memcpy(ret->header, text, HEADER_SIZE);
    ret->frames = le32(text + 32);
    memcpy(ret->sum, text + 36, 8);
    return 0;
}

static int open_both(struct state_wal *w)
{
    if (w->wal_fd < 0)
        w->wal_fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (w->end_fd < 0)
        w->end_fd = open(w->end_path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return w->wal_fd < 0 || w->end_fd < 0 ? -errno : 0;
}

static uint32_t frame_crc(const uint8_t *frame, uint32_t page)
{
    return crc32c_update(crc32c_update(0, frame, 8), frame + FRAME_SIZE, page);
}

static bool note_frame(struct state_wal *w, uint32_t i)
{
    uint8_t crc[4];
    if (!read_at(w->wal_fd, w->frame, w->frame_size, HEADER_SIZE + (uint64_t)i * w->frame_size))
        return false;
    put_le32(crc, frame_crc(w->frame, w->frame_size - FRAME_SIZE));
    return write_at(w->end_fd, crc, sizeof(crc), CRCS_AT + 4 * (uint64_t)i);
}

static void note_end(struct state_wal *w, unsigned frames)
{
    struct wal_end e = {.frames = frames};
    uint8_t text[END_SIZE];
    if (open_both(w) < 0 || !read_at(w->wal_fd, e.header, HEADER_SIZE, 0))
        return;
    uint32_t from = memcmp(e.header, w->end.header, HEADER_SIZE) == 0 ? w->end.frames : 0;
    if (w->frame_size != FRAME_SIZE + be32(e.header + 8)) {
        free(w->frame);
        w->frame_size = FRAME_SIZE + be32(e.header + 8);
        w->frame = malloc(w->frame_size);
    }
    for (uint32_t i = from; i < frames; i++) {
        if (!w->frame || !note_frame(w, i))
            return;
    }
    memcpy(e.sum, w->frame + 16, sizeof(e.sum));
    end_encode(&e, text);
    if (frames > from && write_at(w->end_fd, text, sizeof(text), 0))
        w->end = e;
}

static int committed(void *ctx, sqlite3 *db, const char *name, int frames)
{
    if (frames > 0)
        note_end(ctx, (unsigned)frames);
    if (frames >= CHECKPOINT_FRAMES)
        (void)sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return SQLITE_OK;
}

static void watch_free(struct state_wal *w)
{
    if (w->wal_fd >= 0)
        (void)close(w->wal_fd);
    if (w->end_fd >= 0)
        (void)close(w->end_fd);
    free(w->path);
    free(w->end_path);
    free(w->frame);
    free(w);
}

int state_wal_watch(sqlite3 *db, const char *folder, struct state_wal **ret)
{
    struct state_wal *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->wal_fd = w->end_fd = -1;
    w->path = join(folder, "state.db-wal");
    w->end_path = join(folder, STATE_WAL_END);
    if (!w->path || !w->end_path) {
        watch_free(w);
        return -ENOMEM;
    }
    (void)sqlite3_wal_hook(db, committed, w);
    *ret = w;
    return 0;
}

void state_wal_forget(struct state_wal *w)
{
    if (!w)
        return;
    (void)unlink(w->end_path);
    watch_free(w);
}

/* ---- looking at a log ---- */

struct scan {
    struct wal_end end;
    int fd, end_fd;
    bool big;
    uint32_t page;
    uint64_t size;  /* of the file */
    uint8_t *frame; /* the one that is looked at */
    uint8_t *next;  /* and the one behind it */
    unsigned repairs;
};

static uint64_t frame_at(const struct scan *s, uint32_t i)
{
    return HEADER_SIZE + (uint64_t)i * (FRAME_SIZE + s->page);
}

static bool load(const struct scan *s, uint32_t i, uint8_t *frame)
{
    return frame_at(s, i + 1) <= s->size &&
           read_at(s->fd, frame, FRAME_SIZE + s->page, frame_at(s, i));
}

static struct sum frame_sum(const struct scan *s, struct sum before, const uint8_t *frame)
{
    return sum_over(sum_over(before, s->big, frame, 8), s->big, frame + FRAME_SIZE, s->page);
}

/* Whether the checksum is what frame i must have: what comes behind it fits. */
static bool confirmed(const struct scan *s, uint32_t i, struct sum sum)
{
    if (i + 1 == s->end.frames)
        return sum_is(sum, sum_at(s->end.sum));
    return load(s, i + 1, s->next) && sum_is(frame_sum(s, sum, s->next), sum_at(s->next + 16));
}

static uint32_t inverse(uint32_t odd)
{
    uint32_t x = odd;
    for (int i = 0; i < 5; i++)
        x *= 2 - odd * x;
    return x;
}

/* The one change of a word that makes the difference d in the sums when its effect on them is
 * change * e; false when there is none. */
static bool explains(struct sum e, struct sum d, uint32_t *change)
{
    *change = e.s0 & 1 ? d.s0 * inverse(e.s0) : d.s1 * inverse(e.s1);
    return *change * e.s0 == d.s0 && *change * e.s1 == d.s1;
}

static uint32_t word_at(const struct scan *s, const uint8_t *p)
{
    return s->big ? be32(p) : le32(p);
}

static void put_word(const struct scan *s, uint8_t *p, uint32_t word)
{
    if (s->big)
        put_be32(p, word);
    else
        put_le32(p, word);
}

/* Words from the last to the first, as their effects grow. */
static bool correct_word(const struct scan *s, uint32_t i, struct sum is, struct sum should)
{
    uint8_t *frame = s->frame, crc[4];
    if (!read_at(s->end_fd, crc, sizeof(crc), CRCS_AT + 4 * (uint64_t)i))
        return false;
    struct sum difference = {is.s0 - should.s0, is.s1 - should.s1};
    struct sum even = {1, 1}, odd = {0, 1};
    for (uint32_t pair = (8 + s->page) / 8; pair-- > 0;) {
        for (int k = 1; k >= 0; k--) {
            uint8_t *p = frame + (pair == 0 ? 0 : FRAME_SIZE + 8 * (pair - 1)) + 4 * k;
            uint32_t change;
            if (!explains(k ? odd : even, difference, &change))
                continue;
            uint32_t was = word_at(s, p);
            put_word(s, p, was - change);
            if (frame_crc(frame, s->page) == le32(crc))
                return true;
            put_word(s, p, was);
        }
        even = (struct sum){even.s0 + even.s1, even.s0 + 2 * even.s1};
        odd = (struct sum){odd.s0 + odd.s1, odd.s0 + 2 * odd.s1};
    }
    return false;
}

static bool write_frame(struct scan *s, uint32_t i)
{
    s->repairs++;
    return write_at(s->fd, s->frame, FRAME_SIZE + s->page, frame_at(s, i));
}

/* One frame: true when it is what was written, now at least. *sum: up to it. */
static bool look_at_frame(struct scan *s, uint32_t i, struct sum *sum)
{
    if (!load(s, i, s->frame))
        return false;
    struct sum is = frame_sum(s, *sum, s->frame), stands = sum_at(s->frame + 16);
    bool salts = memcmp(s->frame + 8, s->end.header + SALTS_AT, 8) == 0;
    if (salts && sum_is(is, stands)) {
        *sum = is;
        return true;
    }
    if (confirmed(s, i, is)) { /* its own header is what is damaged */
        memcpy(s->frame + 8, s->end.header + SALTS_AT, 8);
        put_sum(s->frame + 16, is);
        *sum = is;
        return write_frame(s, i);
    }
    if (!confirmed(s, i, stands) || !correct_word(s, i, is, stands))
        return false;
    memcpy(s->frame + 8, s->end.header + SALTS_AT, 8);
    *sum = stands;
    return sum_is(frame_sum(s, *sum, s->frame), *sum) || write_frame(s, i);
}

static enum state_wal_found look_at_frames(struct scan *s)
{
    struct sum sum = sum_at(s->end.header + 24);
    for (uint32_t i = 0; i < s->end.frames; i++) {
        if (!look_at_frame(s, i, &sum)) {
            log_error("state.db-wal: frame %" PRIu32 " of %" PRIu32
                      " is damaged: what was acknowledged in it and after it cannot be read",
                      i + 1, s->end.frames);
            return STATE_WAL_LOST;
        }
    }
    if (!s->repairs)
        return STATE_WAL_WHOLE;
    log_error("state.db-wal was damaged in %u places, which could be put right: the disk loses "
              "data, see its log and replace it",
              s->repairs);
    return fsync(s->fd) < 0 ? STATE_WAL_LOST : STATE_WAL_REPAIRED;
}

static bool header_holds(const uint8_t *h)
{
    return (be32(h) & ~1u) == MAGIC &&
           sum_is(sum_over((struct sum){0, 0}, be32(h) & 1, h, 24), sum_at(h + 24));
}

/* The log is begun anew after a checkpoint, with the next salt. One commit of the new one may be
 * there without a note; after a power loss the note, which is never synced, may be some logs old. A
 * log of another program has a random salt. */
static bool begun_after(const uint8_t *header, const struct wal_end *e)
{
    uint32_t logs = be32(header + SALTS_AT) - be32(e->header + SALTS_AT);
    return header_holds(header) && logs >= 1 && logs <= LOGS_MAX;
}

static enum state_wal_found look_at_log(struct scan *s)
{
    uint8_t header[HEADER_SIZE] = {0};
    if (!read_at(s->fd, header, sizeof(header), 0)) {
        log_error("state.db-wal is empty, and had %" PRIu32 " frames: unless another program has "
                  "opened the database meanwhile, what was acknowledged last is lost",
                  s->end.frames);
        return STATE_WAL_LOST;
    }
    if (begun_after(header, &s->end))
        return STATE_WAL_WHOLE;
    if (memcmp(header, s->end.header, HEADER_SIZE) != 0) {
        if (header_holds(header)) {
            log_error("state.db-wal is not the log that was written last: unless another program "
                      "has opened the database meanwhile, what was acknowledged last is lost");
            return STATE_WAL_LOST;
        }
        if (!write_at(s->fd, s->end.header, HEADER_SIZE, 0))
            return STATE_WAL_LOST;
        s->repairs++;
    }
    s->frame = malloc(FRAME_SIZE + s->page);
    s->next = malloc(FRAME_SIZE + s->page);
    enum state_wal_found found = s->frame && s->next ? look_at_frames(s) : STATE_WAL_WHOLE;
    free(s->frame);
    free(s->next);
    return found;
}

enum state_wal_found state_wal_check(const char *folder)
{
    struct scan s = {.fd = -1};
    CLEANUP_FREE char *path = join(folder, "state.db-wal");
    CLEANUP_FD int fd = -1;
    struct stat st;
    CLEANUP_FREE char *end_path = join(folder, STATE_WAL_END);
    CLEANUP_FD int end_fd = end_path ? open(end_path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    int r = end_read(end_fd, &s.end);
    if (r == -EBADMSG)
        log_warn("'%s/" STATE_WAL_END "' does not hold: whether the end of state.db-wal is whole "
                 "cannot be told",
                 folder);
    if (r < 0 || !path || s.end.frames == 0)
        return STATE_WAL_WHOLE;
    s.big = be32(s.end.header) & 1;
    s.page = be32(s.end.header + 8);
    if (!header_holds(s.end.header) || s.page < 512 || s.page > PAGE_MAX)
        return STATE_WAL_WHOLE;
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0) {
        log_error("'%s' is missing: unless another program has opened the database meanwhile, what "
                  "was acknowledged last is lost",
                  path);
        return STATE_WAL_LOST;
    }
    s.fd = fd;
    s.end_fd = end_fd;
    s.size = (uint64_t)st.st_size;
    return look_at_log(&s);
}
