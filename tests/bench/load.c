/* SPDX-License-Identifier: Apache-2.0 */
/* What programs do to a mount, for the benchmark: files are read and written by threads, and every
 * byte that is read is compared with what it must be (pattern.h). Names are below the current
 * folder. Prints "seconds N", from the start of the threads to the end of the last one; status 1 on
 * any error or wrong byte. */
/* What programs do to a mount, for the benchmark: files are read and written by threads, and every
 * byte that is read is compared with what it must be (pattern.h). Names are below the current
 * folder. Prints "seconds N", from the start of the threads to the end of the last; status 1 on any
 * error or wrong byte.
 *
 *     load [-d] [-b BLOCK] [-t FILE] read NAME SIZE [NAME SIZE ...]      each by a thread of its
 * own load [-d] [-b BLOCK] [-t FILE] write NAME SIZE [NAME SIZE ...]     with close load each LIST
 * THREADS SIZE        whole files, open, read, close; one name a line load range LIST THREADS "NAME
 * OFFSET LENGTH" a line; all of the first line's file load create FOLDER N SIZE THREADS
 * FOLDER/000000 ... made with O_EXCL load absent LIST                   stat of each, which must
 * not be there load mixed FOLDER N SIZE           N threads read FOLDER/r000000 ..., N others write
 * FOLDER/w000000 ... -d: O_DIRECT. -t FILE: "seconds bytes" of what has been moved so far, a line
 * each 2 ms. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "meter.h"
#include "pattern.h"

static const char usage[] =
    "Usage: load [-d] [-b BLOCK] [-t FILE] COMMAND ...\n"
    "  read NAME SIZE [NAME SIZE ...]   each file by a thread of its own\n"
    "  write NAME SIZE [NAME SIZE ...]  the same, with close\n"
    "  each LIST THREADS SIZE           whole files: open, read, close; one name a line\n"
    "  range LIST THREADS               \"NAME OFFSET LENGTH\" a line; all of the first line's "
    "file\n"
    "  create FOLDER N SIZE THREADS     FOLDER/000000 ... made with O_EXCL\n"
    "  absent LIST                      lstat of each, which must not be there\n"
    "  mixed FOLDER N SIZE              N threads read FOLDER/r000000 ..., N write FOLDER/w000000 "
    "...\n"
    "-d: O_DIRECT. -t FILE: \"seconds bytes\" so far, a line each 2 ms.\n";

#define THREADS_MAX 1024
#define NAME_MAX_   1200

struct item {
    char *name;
    uint64_t offset, size;
};

struct job {
    void (*one)(const struct job *j, size_t i, uint8_t *buf);
    struct item *items;
    size_t n, n_threads;
    const char *folder;
    uint64_t size;
    size_t n_readers;
    int fd; /* of `range` */
};

static size_t block = 1u << 20;
static int direct;
static _Atomic size_t next;

static void wrong(const char *what, const char *name)
{
    fprintf(stderr, "load: %s: %s: %s\n", name, what, strerror(errno));
    meter_fail();
}

static void compare(const char *name, const uint8_t *data, uint64_t len, uint64_t start,
                    uint64_t offset)
{
    uint64_t at = pattern_compare(data, len, start, offset);
    if (at < len) {
        fprintf(stderr, "load: WRONG CONTENT: '%s' has a wrong byte at %" PRIu64 "\n", name,
                offset + at);
        meter_fail();
    }
}

static void read_file(const char *name, uint64_t size, uint8_t *buf)
{
    uint64_t start = pattern_start(name), at = 0;
    int fd = open(name, O_RDONLY | O_CLOEXEC | direct);
    ssize_t n = -1;
    if (fd < 0) {
        wrong("open", name);
        return;
    }
    while (!meter_failed() && (n = read(fd, buf, block)) > 0) {
        compare(name, buf, (uint64_t)n, start, at);
        at += (uint64_t)n;
        meter_add((uint64_t)n);
    }
    if (n < 0)
        wrong("read", name);
    else if (at != size) {
        fprintf(stderr, "load: WRONG CONTENT: '%s' has %" PRIu64 " bytes, not %" PRIu64 "\n", name,
                at, size);
        meter_fail();
    }
    if (close(fd))
        wrong("close", name);
}

static void write_file(const char *name, uint64_t size, int flags, uint8_t *buf)
{
    uint64_t start = pattern_start(name), at = 0;
    int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC | flags | direct, 0644);
    if (fd < 0) {
        wrong("open", name);
        return;
    }
    while (!meter_failed() && at < size) {
        size_t len = size - at < block ? (size_t)(size - at) : block;
        const uint8_t *from = pattern_at(start, at);
        if (direct) { /* aligned */
            memcpy(buf, from, len);
            from = buf;
        }
        ssize_t n = write(fd, from, len);
        if (n < 0) {
            wrong("write", name);
            break;
        }
        at += (uint64_t)n;
        meter_add((uint64_t)n);
    }
    if (close(fd))
        wrong("close", name);
}

static void one_read(const struct job *j, size_t i, uint8_t *buf)
{
    read_file(j->items[i].name, j->size ? j->size : j->items[i].size, buf);
}

static void one_write(const struct job *j, size_t i, uint8_t *buf)
{
    write_file(j->items[i].name, j->items[i].size, O_TRUNC, buf);
}

static void one_create(const struct job *j, size_t i, uint8_t *buf)
{
    char name[NAME_MAX_];
    snprintf(name, sizeof(name), "%s/%06zu", j->folder, i);
    write_file(name, j->size, O_EXCL, buf);
}

static void one_mixed(const struct job *j, size_t i, uint8_t *buf)
{
    char name[NAME_MAX_];
    bool reads = i % 2 == 0;
    snprintf(name, sizeof(name), "%s/%c%06zu", j->folder, reads ? 'r' : 'w', i / 2);
    if (reads)
        read_file(name, j->size, buf);
    else
        write_file(name, j->size, O_TRUNC, buf);
}

static void one_range(const struct job *j, size_t i, uint8_t *buf)
{
    const struct item *it = &j->items[i];
    ssize_t n = pread(j->fd, buf, (size_t)it->size, (off_t)it->offset);
    if (n != (ssize_t)it->size) {
        wrong(n < 0 ? "pread" : "short pread", it->name);
        return;
    }
    compare(it->name, buf, it->size, pattern_start(it->name), it->offset);
    meter_add(it->size);
}

static void one_absent(const struct job *j, size_t i, uint8_t *buf)
{
    struct stat st;
    (void)buf;
    if (lstat(j->items[i].name, &st) == 0 || errno != ENOENT)
        wrong("lstat of an absent name", j->items[i].name);
    meter_add(1);
}

static void *work(void *ctx)
{
    struct job *j = ctx;
    size_t i;
    uint8_t *buf = aligned_alloc(4096, block);
    if (!buf)
        meter_fail();
    else
        memset(buf, 0, block);
    meter_wait();
    while (buf && !meter_failed() && (i = next++) < j->n)
        j->one(j, i, buf);
    free(buf);
    return NULL;
}

static int run(struct job *j)
{
    pthread_t threads[THREADS_MAX];
    size_t n = j->n_threads < j->n ? j->n_threads : j->n, started = 0;
    if (n > THREADS_MAX)
        n = THREADS_MAX;
    for (; started < n; started++)
        if (pthread_create(&threads[started], NULL, work, j))
            break;
    meter_start();
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return meter_end(started == n);
}

static bool read_list(const char *path, struct job *j)
{
    FILE *f = fopen(path, "re");
    char line[NAME_MAX_ + 64];
    while (f && fgets(line, sizeof(line), f)) {
        struct item it = {0};
        char name[NAME_MAX_];
        int words = sscanf(line, "%1199s %" SCNu64 " %" SCNu64, name, &it.offset, &it.size);
        struct item *more = realloc(j->items, (j->n + 1) * sizeof(*more));
        if (words < 1 || !more || !(it.name = strdup(name))) {
            fclose(f);
            return false;
        }
        j->items = more;
        j->items[j->n++] = it;
        if (it.size > block)
            block = (size_t)(it.size + 4095) / 4096 * 4096;
    }
    if (!f) {
        fprintf(stderr, "load: %s: %s\n", path, strerror(errno));
        return false;
    }
    fclose(f);
    return true;
}

static bool take_pairs(struct job *j, char **arg, int n)
{
    j->n = j->n_threads = (size_t)n / 2;
    j->items = calloc(j->n + 1, sizeof(*j->items));
    for (size_t i = 0; j->items && i < j->n; i++)
        j->items[i] = (struct item){.name = arg[2 * i], .size = strtoull(arg[2 * i + 1], NULL, 10)};
    return j->items && n > 0 && n % 2 == 0;
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

static bool take_command(struct job *j, const char *word, char **arg, int n)
{
    if (!strcmp(word, "read") || !strcmp(word, "write")) {
        j->one = word[0] == 'r' ? one_read : one_write;
        return take_pairs(j, arg, n);
    }
    if (!strcmp(word, "each") && n == 3) {
        j->one = one_read;
        j->n_threads = number(arg[1]);
        j->size = number(arg[2]);
        return read_list(arg[0], j);
    }
    if (!strcmp(word, "range") && n == 2) {
        j->one = one_range;
        j->n_threads = number(arg[1]);
        if (!read_list(arg[0], j) || j->n == 0)
            return false;
        j->fd = open(j->items[0].name, O_RDONLY | O_CLOEXEC | direct);
        if (j->fd < 0)
            wrong("open", j->items[0].name);
        else
            (void)posix_fadvise(j->fd, 0, 0, POSIX_FADV_RANDOM);
        return j->fd >= 0;
    }
    if (!strcmp(word, "create") && n == 4) {
        *j = (struct job){.one = one_create,
                          .folder = arg[0],
                          .n = number(arg[1]),
                          .size = number(arg[2]),
                          .n_threads = number(arg[3])};
        return true;
    }
    if (!strcmp(word, "absent") && n == 1) {
        j->one = one_absent;
        j->n_threads = 1;
        return read_list(arg[0], j);
    }
    if (!strcmp(word, "mixed") && n == 3) {
        *j = (struct job){.one = one_mixed,
                          .folder = arg[0],
                          .n = 2 * number(arg[1]),
                          .n_threads = 2 * number(arg[1]),
                          .size = number(arg[2])};
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct job j = {.fd = -1};
    int c;
    while ((c = getopt(argc, argv, "+db:t:")) != -1) {
        if (c == 'd')
            direct = O_DIRECT;
        else if (c == 'b')
            block = (size_t)number(optarg);
        else if (c == 't')
            meter_timeline(optarg);
        else
            return 2;
    }
    pattern_init();
    if (block < 1 || block > PATTERN_SLICE || argc - optind < 2 ||
        !take_command(&j, argv[optind], argv + optind + 1, argc - optind - 1)) {
        fputs(usage, stderr);
        return 2;
    }
    return run(&j);
}
