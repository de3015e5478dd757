/* SPDX-License-Identifier: Apache-2.0 */
/* The disk cache of file content, through readers: what a second read asks the store for, and that
 * nothing that happens to the files on the disk is ever more than a miss. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/block_cache.h"
#include "data/block_folder.h"
#include "data/data_impl.h"
#include "data_bed.h"
#include "tempfolder.h"

#define SEED 5

struct cached {
    struct bed bed;
    char *dir;
};

static void mount_cache(struct cached *c, uint64_t limit)
{
    struct data_options o = {.store = c->bed.store, .cache_dir = c->dir, .cache_limit = limit};
    assert_int_equal(data_new(&o, &c->bed.data), 0);
}

static void open_cache(struct cached *c, unsigned threads, uint64_t limit)
{
    c->dir = tempfolder_make();
    bed_open(&c->bed, threads, NULL, NULL);
    data_free(c->bed.data);
    mount_cache(c, limit);
}

static void remount(struct cached *c, uint64_t limit)
{
    data_free(c->bed.data);
    mount_cache(c, limit);
}

static void close_cache(struct cached *c)
{
    block_cache_stop(c->bed.data->blocks);
    bed_close(&c->bed);
    tempfolder_remove(c->dir);
}

/* No reader is open: requests under way end, and what they brought is written. */
static void settle(struct cached *c)
{
    struct data *d = c->bed.data;
    pthread_mutex_lock(&d->lock);
    while (d->pins)
        pthread_cond_wait(&d->unpinned, &d->lock);
    pthread_mutex_unlock(&d->lock);
    block_cache_settle(c->bed.data->blocks);
}

static struct block_cache_stats figures(struct cached *c)
{
    struct data_stats s;
    data_stats(c->bed.data, &s);
    return s.cache;
}

static struct reader *open_reader(struct cached *c, const char *key, const char *etag,
                                  uint64_t size, bool believed)
{
    struct reader_options o = {.key = key, .size = size, .etag = etag, .believed = believed};
    struct reader *r = NULL;
    assert_int_equal(reader_new(c->bed.data, &o, &r), 0);
    return r;
}

static void read_some(struct reader *r, uint64_t seed, uint64_t size, uint64_t offset, size_t len)
{
    size_t expect = offset < size ? MIN(len, size - offset) : 0;
    assert_int_equal(bed_read_check(r, seed, offset, len, expect), 0);
}

static void read_through(struct cached *c, const char *key, const char *etag, uint64_t seed,
                         uint64_t size, size_t step, bool believed)
{
    struct reader *r = open_reader(c, key, etag, size, believed);
    for (uint64_t at = 0; at <= size; at += step)
        read_some(r, seed, size, at, step);
    reader_free(r);
    settle(c);
}

/* ---- the second read ---- */

static void nothing_is_asked_for_again(void **state)
{
    static const uint64_t SIZES[] = {1,       4095,          100000,       MIB - 1, MIB,
                                     MIB + 1, 2 * MIB + 777, 5 * MIB + 17, 20 * MIB};
    for (unsigned threads = 0; threads < 3; threads++)
        for (size_t i = 0; i < ARRAY_SIZE(SIZES); i++) {
            uint64_t size = SIZES[i];
            struct cached c;
            struct store_version v;
            open_cache(&c, threads, GIB);
            bed_put(&c.bed, "f", SEED, size, &v);
            read_through(&c, "f", v.etag, SEED, size, 128 * KIB, false);
            assert_true(store_count_requests(c.bed.store, STORE_GET) > 0);
            assert_int_equal(figures(&c).blocks, (size + MIB - 1) / MIB);
            for (int again = 0; again < 2; again++) {
                store_count_reset(c.bed.store);
                read_through(&c, "f", v.etag, SEED, size, 128 * KIB, true);
                read_through(&c, "f", v.etag, SEED, size, MIB, true);
                read_through(&c, "f", v.etag, SEED, size, 128 * KIB + 4096, true);
                bed_assert_requests(&c.bed, "");
                /* Attributes that are too old: is it still that version? */
                read_through(&c, "f", v.etag, SEED, size, MIB, false);
                bed_assert_requests(&c.bed, "head 1");
                remount(&c, GIB);
            }
            assert_int_equal(figures(&c).damaged, 0);
            close_cache(&c);
        }
}

/* Before the cache knows what is there, it looks. */
static void random_reads_of_what_was_read(void **state)
{
    const uint64_t size = 20 * MIB + 5000;
    uint64_t random = 88172645463325252ull;
    struct cached c;
    struct store_version v;
    open_cache(&c, 2, GIB);
    bed_put(&c.bed, "f", SEED, size, &v);
    read_through(&c, "f", v.etag, SEED, size, MIB, false);
    remount(&c, GIB);
    store_count_reset(c.bed.store);
    struct reader *r = open_reader(&c, "f", v.etag, size, true);
    for (int i = 0; i < 500; i++)
        read_some(r, SEED, size, next_random(&random) % size, 1 + next_random(&random) % 300000);
    bed_assert_requests(&c.bed, "");
    reader_free(r);
    close_cache(&c);
}

/* Only blocks of which all bytes came are kept. */
static void parts_of_blocks_are_not_kept(void **state)
{
    struct cached c;
    struct store_version v;
    open_cache(&c, 0, GIB);
    bed_put(&c.bed, "f", SEED, 20 * MIB, &v);
    struct reader *r = open_reader(&c, "f", v.etag, 20 * MIB, true);
    read_some(r, SEED, 20 * MIB, 9 * MIB + 4096, 4096);
    block_cache_settle(c.bed.data->blocks);
    assert_int_equal(figures(&c).blocks, 0);
    /* Put together from two requests. */
    read_some(r, SEED, 20 * MIB, 15 * MIB, 512 * KIB);
    read_some(r, SEED, 20 * MIB, 15 * MIB + 512 * KIB, 512 * KIB);
    reader_free(r);
    settle(&c);
    assert_true(figures(&c).blocks >= 1);
    store_count_reset(c.bed.store);
    r = open_reader(&c, "f", v.etag, 20 * MIB, true);
    read_some(r, SEED, 20 * MIB, 15 * MIB + 5, MIB - 5);
    /* Not all of it is there: the store tells whether it is still this version. */
    bed_assert_requests(&c.bed, "head 1");
    reader_free(r);
    close_cache(&c);
}

/* What is there is not asked for beside what is not. */
static void holes_are_filled(void **state)
{
    const uint64_t size = 16 * MIB;
    struct cached c;
    struct store_version v;
    open_cache(&c, 2, GIB);
    bed_put(&c.bed, "f", SEED, size, &v);
    read_through(&c, "f", v.etag, SEED, size, MIB, false);
    struct block_object o;
    assert_true(block_object_init(&o, "f", v.etag, size));
    struct block_folder folder;
    assert_int_equal(block_folder_open(&folder, c.dir), 0);
    for (uint32_t b = 3; b < 16; b += 4)
        assert_int_equal(block_folder_remove(&folder, o.id, b), 0);
    block_folder_close(&folder);
    remount(&c, GIB);
    store_count_reset(c.bed.store);
    read_through(&c, "f", v.etag, SEED, size, MIB, true);
    struct store_count_figures f;
    store_count_get(c.bed.store, STORE_GET, &f);
    assert_int_equal(f.bytes, 4 * MIB);
    assert_int_equal(store_count_requests(c.bed.store, STORE_HEAD), 1);
    store_count_reset(c.bed.store);
    read_through(&c, "f", v.etag, SEED, size, MIB, true);
    bed_assert_requests(&c.bed, "");
    close_cache(&c);
}

static void siblings_that_are_there_are_not_fetched(void **state)
{
    struct cached c;
    struct store_version v;
    open_cache(&c, 2, GIB);
    bed_put(&c.bed, "f", SEED, 50000, &v);
    read_through(&c, "f", v.etag, SEED, 50000, MIB, false);
    remount(&c, GIB);
    store_count_reset(c.bed.store);
    struct reader_options o = {
        .key = "f", .size = 50000, .etag = v.etag, .believed = true, .start = true};
    struct reader *r = NULL;
    assert_int_equal(reader_new(c.bed.data, &o, &r), 0);
    reader_start(r, UINT64_MAX, UINT64_MAX);
    reader_adopt(r, NULL, NULL);
    read_some(r, SEED, 50000, 0, MIB);
    reader_free(r);
    bed_assert_requests(&c.bed, "");
    close_cache(&c);
}

/* ---- versions ---- */

static void another_version_is_another_object(void **state)
{
    const uint64_t size = 3 * MIB;
    struct cached c;
    struct store_version one, two;
    open_cache(&c, 1, GIB);
    bed_put(&c.bed, "f", SEED, size, &one);
    read_through(&c, "f", one.etag, SEED, size, MIB, false);
    bed_put(&c.bed, "f", SEED + 1, size, &two);
    /* Who asks gets the new one, whatever it was told. */
    store_count_reset(c.bed.store);
    read_through(&c, "f", one.etag, SEED + 1, size, MIB, false);
    assert_int_equal(store_count_requests(c.bed.store, STORE_HEAD), 1);
    assert_true(store_count_requests(c.bed.store, STORE_GET) > 0);
    /* Who was told of the new one, too; by now it is there. */
    store_count_reset(c.bed.store);
    read_through(&c, "f", two.etag, SEED + 1, size, MIB, true);
    bed_assert_requests(&c.bed, "");
    /* Who believes the old one reads all of it, no mix. */
    read_through(&c, "f", one.etag, SEED, size, MIB, true);
    bed_assert_requests(&c.bed, "");
    close_cache(&c);
}

static void other_keys_and_sizes_are_other_objects(void **state)
{
    struct block_object a, b;
    static const char ETAG[] = "\"0123456789abcdef0123456789abcdef\"";
    assert_true(block_object_init(&a, "a", ETAG, 5));
    assert_true(block_object_init(&b, "b", ETAG, 5));
    assert_memory_not_equal(a.id, b.id, sizeof(a.id));
    assert_true(block_object_init(&b, "a", ETAG, 6));
    assert_memory_not_equal(a.id, b.id, sizeof(a.id));
    assert_true(block_object_init(&b, "a", "\"0123456789abcdef0123456789abcdee\"", 5));
    assert_memory_not_equal(a.id, b.id, sizeof(a.id));
    static const char *const USELESS[] = {
        "",
        "\"\"",
        "W/\"0123456789abcdef\"",
        "0123456789abcdef0123456789abcdef",
        "\"00000000000000000000000000000000\"",
        "\"00000000000000000000000000000000-1\"",
        "\"-\"",
        "\"0123456789abcdef",
        "\"pailfs-1234\"",
        "\"pailfs-0123456789abcdef-1\"",
    };
    for (size_t i = 0; i < ARRAY_SIZE(USELESS); i++)
        assert_false(block_object_init(&a, "a", USELESS[i], 5));
    assert_true(block_object_init(&a, "a", "\"00000000000000000000000000000001\"", 5));
    assert_false(block_object_init(&a, "a", ETAG, 0));
    char name[BLOCK_FILE_NAME];
    uint64_t id[2];
    uint32_t block;
    block_file_name(b.id, 0xabcdef01u, name);
    assert_int_equal(strlen(name), BLOCK_FILE_NAME - 1);
    assert_true(block_file_name_parse((unsigned)strtoul(name, NULL, 16), name + 3, id, &block));
    assert_memory_equal(id, b.id, sizeof(id));
    assert_int_equal(block, 0xabcdef01u);
    name[5] = 'G';
    assert_false(block_file_name_parse(0, name + 3, id, &block));
    assert_false(block_file_name_parse(0, "new", id, &block));
}

/* ---- content that was wrong ---- */

struct lone { /* a cache without readers */
    struct block_cache *cache;
    struct clock_fake clock;
    char *dir;
    unsigned released;
    uint32_t blocks_max;
};

static void open_lone(struct lone *l, uint64_t limit)
{
    struct block_cache_options o = {.dir = l->dir,
                                    .limit = limit,
                                    .queue_max = GIB,
                                    .blocks_max = l->blocks_max,
                                    .clock = &l->clock.clock};
    assert_int_equal(block_cache_new(&o, &l->cache), 0);
}

struct lone_job {
    struct block_job job;
    struct lone *lone;
};

static void lone_release(struct block_job *job)
{
    struct lone_job *j = CONTAINER_OF(job, struct lone_job, job);
    j->lone->released++;
    free(j);
}

static void lone_object(const char *key, struct block_object *ret)
{
    assert_true(block_object_init(ret, key, "\"0123456789abcdef0123456789abcdef\"", 100));
}

static bool lone_put(struct lone *l, const char *key)
{
    static char content[100];
    struct lone_job *j = calloc(1, sizeof(*j));
    assert_non_null(j);
    lone_object(key, &j->job.object);
    j->lone = l;
    j->job.n_iov = 1;
    j->job.iov[0] = (struct iovec){content, sizeof(content)};
    j->job.release = lone_release;
    if (block_cache_put(l->cache, &j->job))
        return true;
    free(j);
    return false;
}

static uint64_t lone_blocks(struct lone *l)
{
    struct block_cache_stats s;
    block_cache_settle(l->cache);
    block_cache_stats(l->cache, &s);
    return s.blocks;
}

/* It is refused, not written and removed again; and after a while it is an object as any other. */
static void wrong_content_is_refused_for_a_while(void **state)
{
    struct lone l = {.dir = tempfolder_make()};
    struct block_object o;
    clock_fake_init(&l.clock, 1000000 * (int64_t)NS_PER_S);
    open_lone(&l, GIB);
    lone_object("f", &o);
    assert_true(lone_put(&l, "f"));
    assert_int_equal(lone_blocks(&l), 1);
    block_cache_drop(l.cache, &o);
    assert_int_equal(lone_blocks(&l), 0);
    assert_false(block_cache_wants(l.cache, &o, 0));
    assert_false(lone_put(&l, "f"));
    assert_true(lone_put(&l, "g"));
    assert_int_equal(lone_blocks(&l), 1);
    clock_fake_advance(&l.clock, 61 * (uint64_t)NS_PER_S);
    assert_true(block_cache_wants(l.cache, &o, 0));
    assert_true(lone_put(&l, "f"));
    assert_int_equal(lone_blocks(&l), 2);
    assert_int_equal(l.released, 3);
    block_cache_free(l.cache);
    tempfolder_remove(l.dir);
}

/* Also what an earlier mount has left, of more objects than are remembered afterwards. */
static void wrong_content_that_is_not_known_yet(void **state)
{
    struct lone l = {.dir = tempfolder_make()};
    char key[16];
    clock_fake_init(&l.clock, 1000000 * (int64_t)NS_PER_S);
    open_lone(&l, GIB);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "f%d", i);
        assert_true(lone_put(&l, key));
    }
    assert_int_equal(lone_blocks(&l), 100);
    block_cache_free(l.cache);

    open_lone(&l, GIB); /* and its thread begins to find out */
    for (int i = 0; i < 20; i++) {
        struct block_object o;
        snprintf(key, sizeof(key), "f%d", i);
        lone_object(key, &o);
        block_cache_drop(l.cache, &o);
        assert_int_equal(block_cache_look(l.cache, &o), BLOCK_CACHE_NONE);
    }
    assert_int_equal(lone_blocks(&l), 80);
    block_cache_free(l.cache);
    open_lone(&l, GIB);
    assert_int_equal(lone_blocks(&l), 80);
    block_cache_free(l.cache);
    tempfolder_remove(l.dir);
}

static unsigned lone_files(struct lone *l, unsigned from, unsigned until)
{
    unsigned n = 0;
    for (unsigned i = from; i < until; i++) {
        struct block_object o;
        char key[16], name[BLOCK_FILE_NAME], path[PATH_MAX];
        snprintf(key, sizeof(key), "f%u", i);
        lone_object(key, &o);
        block_file_name(o.id, 0, name);
        snprintf(path, sizeof(path), "%s/%s", l->dir, name);
        n += access(path, F_OK) == 0;
    }
    return n;
}

/* Each block takes memory, however small it is on the disk: the oldest go. */
static void the_number_is_bounded(void **state)
{
    struct lone l = {.dir = tempfolder_make(), .blocks_max = 1000};
    char key[16];
    clock_fake_init(&l.clock, 1000000 * (int64_t)NS_PER_S);
    open_lone(&l, GIB);
    for (unsigned i = 0; i < 1500; i++) {
        snprintf(key, sizeof(key), "f%u", i);
        assert_true(lone_put(&l, key));
        if (i % 100 == 99)
            assert_true(lone_blocks(&l) <= 1000);
    }
    assert_int_equal(lone_blocks(&l), 1000);
    assert_int_equal(lone_files(&l, 0, 500), 0);
    assert_int_equal(lone_files(&l, 500, 1500), 1000);
    block_cache_free(l.cache);

    /* A mount with less memory; the newest stay. */
    for (unsigned i = 500; i < 1500; i++) {
        struct block_object o;
        char name[BLOCK_FILE_NAME], path[PATH_MAX];
        snprintf(key, sizeof(key), "f%u", i);
        lone_object(key, &o);
        block_file_name(o.id, 0, name);
        snprintf(path, sizeof(path), "%s/%s", l.dir, name);
        const struct timespec times[2] = {{.tv_sec = 10000 + i}, {.tv_sec = 10000 + i}};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    l.blocks_max = 100;
    open_lone(&l, GIB);
    assert_int_equal(lone_blocks(&l), 100);
    assert_int_equal(lone_files(&l, 500, 1400), 0);
    assert_int_equal(lone_files(&l, 1400, 1500), 100);
    block_cache_free(l.cache);
    tempfolder_remove(l.dir);
}

/* Blocks of an object that was there as a whole go: the rest is fetched ahead again. */
static void blocks_that_go_meanwhile(void **state)
{
    struct cached c;
    struct store_version v;
    struct block_object o;
    const uint64_t size = 20 * MIB;
    open_cache(&c, 0, GIB);
    bed_put(&c.bed, "f", SEED, size, &v);
    read_through(&c, "f", v.etag, SEED, size, MIB, false);
    struct reader *r = open_reader(&c, "f", v.etag, size, true);
    read_some(r, SEED, size, 0, 128 * KIB);
    read_some(r, SEED, size, 128 * KIB, 128 * KIB);
    store_count_reset(c.bed.store);
    assert_true(block_object_init(&o, "f", v.etag, size));
    block_cache_drop(c.bed.data->blocks, &o);
    read_some(r, SEED, size, 256 * KIB, 128 * KIB);
    assert_true(store_count_requests(c.bed.store, STORE_GET) > 1);
    reader_free(r);
    close_cache(&c);
}

/* ---- damage ---- */

static char found_path[PATH_MAX];
static unsigned found_number, wanted_number;
static uint64_t found_bytes;

static int visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    if (type == FTW_D)
        return 0;
    assert_int_equal(st->st_mode & 07777, 0600);
    found_bytes += (uint64_t)st->st_blocks * 512;
    if (found_number++ == wanted_number)
        snprintf(found_path, sizeof(found_path), "%s", path);
    return 0;
}

/* Looks at all files; the path of one is in found_path. */
static void find_file(struct cached *c, unsigned number)
{
    found_number = 0;
    found_bytes = 0;
    found_path[0] = '\0';
    wanted_number = number;
    assert_int_equal(nftw(c->dir, visit, 16, FTW_PHYS), 0);
}

enum damage { FLIP, CUT, EMPTY, GONE, FOLDER, LINK, PIPE, LOCKED, ZEROS, SWAPPED, DAMAGES };

static void do_damage(struct cached *c, enum damage how, uint64_t *random)
{
    char other[PATH_MAX], temporary[PATH_MAX];
    struct stat st;
    find_file(c, next_random(random) % 3);
    assert_int_equal(stat(found_path, &st), 0);
    int fd = open(found_path, O_RDWR);
    assert_true(fd >= 0);
    off_t at = (off_t)(next_random(random) % (uint64_t)st.st_size);
    char byte;
    switch (how) {
    case FLIP:
        /* Half of them in the header, but for its bytes that mean nothing they count all. */
        if (next_random(random) % 2)
            at %= 256;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (char)(1 << next_random(random) % 8);
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        break;
    case CUT:
        assert_int_equal(ftruncate(fd, at), 0);
        break;
    case EMPTY:
        assert_int_equal(ftruncate(fd, 0), 0);
        break;
    case ZEROS:
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(ftruncate(fd, st.st_size), 0);
        break;
    case GONE:
        assert_int_equal(unlink(found_path), 0);
        break;
    case FOLDER:
        assert_int_equal(unlink(found_path), 0);
        assert_int_equal(mkdir(found_path, 0700), 0);
        break;
    case LINK:
        assert_int_equal(unlink(found_path), 0);
        assert_int_equal(symlink("/etc/passwd", found_path), 0);
        break;
    case PIPE:
        assert_int_equal(unlink(found_path), 0);
        assert_int_equal(mkfifo(found_path, 0600), 0);
        break;
    case LOCKED:
        assert_int_equal(unlink(found_path), 0);
        assert_int_equal(symlink("loop", found_path), 0);
        break;
    case SWAPPED:
        snprintf(other, sizeof(other), "%s", found_path);
        find_file(c, (wanted_number + 1) % 3);
        snprintf(temporary, sizeof(temporary), "%s/x", c->dir);
        assert_int_equal(rename(other, temporary), 0);
        assert_int_equal(rename(found_path, other), 0);
        assert_int_equal(rename(temporary, found_path), 0);
        break;
    case DAMAGES:
        break;
    }
    close(fd);
}

static void damage_is_a_miss(void **state)
{
    const uint64_t size = 2 * MIB + 300000;
    const char *given = getenv("PAILFS_TEST_SEED");
    uint64_t random = given ? strtoull(given, NULL, 0) | 1 : 20261123;
    print_message("# seed %llu\n", (unsigned long long)random);
    struct cached c;
    struct store_version v;
    open_cache(&c, 1, GIB);
    bed_put(&c.bed, "f", SEED, size, &v);
    read_through(&c, "f", v.etag, SEED, size, 128 * KIB, false);
    assert_int_equal(figures(&c).blocks, 3);
    for (int round = 0; round < 6 * DAMAGES; round++) {
        enum damage how = (enum damage)(round % DAMAGES);

        bool mounted = round / DAMAGES % 2;
        if (!mounted)
            data_free(c.bed.data);
        do_damage(&c, how, &random);
        if (!mounted)
            mount_cache(&c, GIB);
        if (round % 3)
            settle(&c); /* else what is there is being found out while it is read */
        /* What the first one asked for anyhow it did not look at in the cache. */
        for (int i = 0; i < 3; i++)
            read_through(&c, "f", v.etag, SEED, size, 128 * KIB, next_random(&random) % 2);
        /* What was in the way goes, or stays there and nothing more. */
        if (how == FOLDER || how == LINK || how == PIPE || how == LOCKED) {
            find_file(&c, UINT_MAX);
            (void)remove(found_path);
            data_free(c.bed.data);
            tempfolder_remove(c.dir);
            c.dir = tempfolder_make();
            mount_cache(&c, GIB);
            read_through(&c, "f", v.etag, SEED, size, MIB, true);
        }
        /* And it is there again. */
        assert_int_equal(figures(&c).blocks, 3);
        store_count_reset(c.bed.store);
        read_through(&c, "f", v.etag, SEED, size, 128 * KIB, true);
        bed_assert_requests(&c.bed, "");
    }
    close_cache(&c);
}

/* One byte of one block does not hold, and the object has been replaced: the new one, not an error.
 */
static void damage_beside_a_new_version(void **state)
{
    struct cached c;
    struct store_version one, two;
    open_cache(&c, 1, GIB);
    bed_put(&c.bed, "f", SEED, 300000, &one);
    read_through(&c, "f", one.etag, SEED, 300000, MIB, false);
    bed_put(&c.bed, "f", SEED + 1, 300000, &two);
    find_file(&c, 0);
    assert_int_equal(truncate(found_path, 1000), 0);
    read_through(&c, "f", one.etag, SEED + 1, 300000, MIB, true);
    close_cache(&c);
}

static void vanished_folder(void **state)
{
    const uint64_t size = 2 * MIB + 300000;
    struct cached c;
    struct store_version v;
    open_cache(&c, 1, GIB);
    bed_put(&c.bed, "f", SEED, size, &v);
    read_through(&c, "f", v.etag, SEED, size, MIB, false);
    tempfolder_remove(c.dir);
    read_through(&c, "f", v.etag, SEED, size, MIB, true);
    read_through(&c, "f", v.etag, SEED, size, MIB, true);
    c.dir = NULL;
    close_cache(&c);
}

/* ---- room ---- */

static void the_limit_is_held(void **state)
{
    const uint64_t size = 20 * MIB;
    struct cached c;
    struct store_version v;
    open_cache(&c, 1, 6 * MIB);
    bed_put(&c.bed, "f", SEED, size, &v);
    bed_put(&c.bed, "small", SEED + 1, 5000, &v);
    read_through(&c, "small", v.etag, SEED + 1, 5000, MIB, false);
    struct store_version big;
    bed_put(&c.bed, "f", SEED, size, &big);
    for (uint64_t at = 0; at < size; at += 4 * MIB) {
        struct reader *r = open_reader(&c, "f", big.etag, size, true);
        read_some(r, SEED, size, at, MIB);
        reader_free(r);
        settle(&c);
        find_file(&c, UINT_MAX);
        assert_true(found_bytes <= 6 * MIB);
        assert_true(figures(&c).used <= 6 * MIB);
        /* Used again each time: never the oldest. */
        store_count_reset(c.bed.store);
        read_through(&c, "small", v.etag, SEED + 1, 5000, MIB, true);
        bed_assert_requests(&c.bed, "");
    }
    assert_true(figures(&c).blocks >= 5);
    remount(&c, 2 * MIB);
    settle(&c);
    assert_true(figures(&c).used <= 2 * MIB);
    assert_true(figures(&c).blocks >= 1);
    find_file(&c, UINT_MAX);
    assert_true(found_bytes <= 2 * MIB);
    remount(&c, 0);
    settle(&c);
    find_file(&c, UINT_MAX);
    assert_int_equal(found_number, 0);
    /* And nothing comes in. */
    read_through(&c, "small", v.etag, SEED + 1, 5000, MIB, true);
    find_file(&c, UINT_MAX);
    assert_int_equal(found_number, 0);
    close_cache(&c);
}

/* The order of use is there after a restart. */
static void the_oldest_go_first(void **state)
{
    struct cached c;
    struct store_version v[4];
    char key[2] = "a";
    open_cache(&c, 1, GIB);
    for (unsigned i = 0; i < 4; i++) {
        key[0] = (char)('a' + i);
        bed_put(&c.bed, key, SEED + i, MIB, &v[i]);
        read_through(&c, key, v[i].etag, SEED + i, MIB, MIB, false);
        struct block_object o;
        char name[BLOCK_FILE_NAME], path[PATH_MAX];
        assert_true(block_object_init(&o, key, v[i].etag, MIB));
        block_file_name(o.id, 0, name);
        snprintf(path, sizeof(path), "%s/%s", c.dir, name);
        /* b, d, a, c */
        static const time_t USED[] = {3000, 1000, 4000, 2000};
        const struct timespec times[2] = {{.tv_sec = USED[i]}, {.tv_sec = USED[i]}};
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    }
    remount(&c, 2 * MIB + 128 * KIB);
    settle(&c);
    store_count_reset(c.bed.store);
    for (unsigned i = 0; i < 4; i += 2) {
        key[0] = (char)('a' + i);
        read_through(&c, key, v[i].etag, SEED + i, MIB, MIB, true);
    }
    bed_assert_requests(&c.bed, "");
    assert_int_equal(figures(&c).blocks, 2);
    close_cache(&c);
}

/* For what matters more than a cache, on the same disk. */
static void room_is_made_for_changes(void **state)
{
    struct cached c;
    struct store_version v;
    open_cache(&c, 1, GIB);
    struct block_cache *blocks = c.bed.data->blocks;
    bed_put(&c.bed, "f", SEED, 20 * MIB, &v);
    read_through(&c, "f", v.etag, SEED, 20 * MIB, MIB, false);
    uint64_t n = figures(&c).blocks;
    assert_true(n >= 18);
    assert_int_equal(block_cache_make_room(blocks, "/proc", MIB), 0);
    assert_int_equal(block_cache_make_room(blocks, "/nonexistent", MIB), 0);
    assert_int_equal(figures(&c).blocks, n);
    assert_true(block_cache_make_room(blocks, c.dir, 1) > 0);
    assert_in_range(figures(&c).blocks, 1, n - 15);
    assert_int_equal(figures(&c).evicted, n - figures(&c).blocks);
    assert_true(block_cache_make_room(blocks, c.dir, GIB) > 0);
    assert_int_equal(figures(&c).blocks, 0);
    assert_int_equal(block_cache_make_room(blocks, c.dir, 1), 0);
    read_through(&c, "f", v.etag, SEED, 20 * MIB, MIB, true);
    close_cache(&c);
}

static void what_a_kill_left_is_swept(void **state)
{
    struct cached c;
    char path[PATH_MAX];
    open_cache(&c, 1, GIB);
    snprintf(path, sizeof(path), "%s/new", c.dir);
    data_free(c.bed.data);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "torn", 4), 4);
    close(fd);
    mount_cache(&c, GIB);
    settle(&c);
    assert_int_equal(access(path, F_OK), -1);
    close_cache(&c);
}

/* ---- several threads ---- */

struct reading {
    struct cached *c;
    struct reader *r;
    uint64_t size;
    uint64_t random;
};

static void *read_at_random(void *arg)
{
    struct reading *g = arg;
    for (int i = 0; i < 40; i++)
        read_some(g->r, SEED, g->size, next_random(&g->random) % g->size,
                  1 + next_random(&g->random) % MIB);
    return NULL;
}

/* The cache is far too small: blocks come and go while they are read. */
static void readers_beside_each_other(void **state)
{
    const uint64_t size = 12 * MIB + 99;
    struct cached c;
    struct store_version v;
    open_cache(&c, 3, 5 * MIB);
    bed_put(&c.bed, "f", SEED, size, &v);
    struct reading g[4];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        g[i] = (struct reading){&c, NULL, size, 77 + i};
        /* Two and two through one handle. */
        g[i].r = i % 2 ? g[i - 1].r : open_reader(&c, "f", v.etag, size, i < 2);
        assert_int_equal(pthread_create(&threads[i], NULL, read_at_random, &g[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    reader_free(g[0].r);
    reader_free(g[2].r);
    settle(&c);
    /* Hits there need not be: what was read a moment ago is in memory, too. */
    assert_true(figures(&c).used > 0);
    assert_true(figures(&c).used <= 5 * MIB);
    assert_int_equal(figures(&c).damaged, 0);
    close_cache(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_asked_for_again),
        cmocka_unit_test(random_reads_of_what_was_read),
        cmocka_unit_test(parts_of_blocks_are_not_kept),
        cmocka_unit_test(holes_are_filled),
        cmocka_unit_test(siblings_that_are_there_are_not_fetched),
        cmocka_unit_test(another_version_is_another_object),
        cmocka_unit_test(other_keys_and_sizes_are_other_objects),
        cmocka_unit_test(wrong_content_is_refused_for_a_while),
        cmocka_unit_test(wrong_content_that_is_not_known_yet),
        cmocka_unit_test(the_number_is_bounded),
        cmocka_unit_test(blocks_that_go_meanwhile),
        cmocka_unit_test(damage_is_a_miss),
        cmocka_unit_test(damage_beside_a_new_version),
        cmocka_unit_test(vanished_folder),
        cmocka_unit_test(the_limit_is_held),
        cmocka_unit_test(the_oldest_go_first),
        cmocka_unit_test(room_is_made_for_changes),
        cmocka_unit_test(what_a_kill_left_is_swept),
        cmocka_unit_test(readers_beside_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
