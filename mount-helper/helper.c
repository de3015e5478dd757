/* SPDX-License-Identifier: Apache-2.0 */
#include "mount-helper/helper.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "conf/options_table.h"

/* Takes the next option of a list, `\,` kept within it; NULL at the end. *list moves on. */
static const char *next_option(const char **list, struct strbuf *one)
{
    const char *p = *list;

    while (*p == ',')
        p++;
    if (!*p)
        return NULL;
    strbuf_reset(one);
    for (; *p && *p != ','; p++) {
        if (*p == '\\' && p[1])
            (void)strbuf_append_char(one, *p++);
        (void)strbuf_append_char(one, *p);
    }
    *list = p;
    return one->error ? NULL : strbuf_str(one);
}

/* By name alone: a wrong value, or an option that is refused for a reason, is still an error. */
static bool option_is_known(const char *option)
{
    char name[128];
    size_t len = strcspn(option, "=");

    if (len >= sizeof(name))
        return false;
    memcpy(name, option, len);
    name[len] = '\0';
    return conf_row_find(strncmp(name, "--", 2) == 0 ? name + 2 : name) != NULL;
}

/* Appends `list` to the request's options; with -s without what the driver does not know. */
static int add_options(struct mount_request *r, const char *list, struct s3_error *reterr)
{
    CLEANUP_STRBUF struct strbuf one = STRBUF_INIT(LIMIT_OPTION_VALUE);
    const char *option;

    while ((option = next_option(&list, &one))) {
        if (r->sloppy && !option_is_known(option))
            continue;
        if (r->options.len)
            (void)strbuf_append_char(&r->options, ',');
        (void)strbuf_append_str(&r->options, option);
    }
    if (one.error || r->options.error)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "an option is longer than %u bytes",
                            LIMIT_OPTION_VALUE);
    return 0;
}

int mount_request_parse(struct mount_request *r, int argc, char *const *argv,
                        struct s3_error *reterr)
{
    const char *operands[2] = {NULL, NULL};
    const char *lists[64];
    size_t n_lists = 0, n_operands = 0;
    const char *type = NULL;
    int c, rc;

    memset(r, 0, sizeof(*r));
    strbuf_init(&r->options, 4 * LIMIT_OPTION_VALUE);
    optind = 0; /* start anew, glibc's way */
    opterr = 0;
    /* mount(8) puts the operands first. '-' returns them in order, also under POSIXLY_CORRECT. */
    while ((c = getopt(argc, argv, "-:sfnvN:o:t:")) != -1) {
        switch (c) {
        case 1:
            if (n_operands < ARRAY_SIZE(operands))
                operands[n_operands] = optarg;
            n_operands++;
            break;
        case 's':
            r->sloppy = true;
            break;
        case 'f':
            r->fake = true;
            break;
        case 'n': /* /etc/mtab is the kernel's these days: nothing to leave out */
            break;
        case 'v':
            r->verbose = true;
            break;
        case 'N':
            r->namespace_path = optarg;
            break;
        case 'o':
            if (n_lists == ARRAY_SIZE(lists))
                return s3_error_set(reterr, S3_ERROR_CONFIG, "more than %zu -o lists", n_lists);
            lists[n_lists++] = optarg;
            break;
        case 't':
            type = optarg;
            break;
        case ':':
            return s3_error_set(reterr, S3_ERROR_CONFIG, "-%c needs a value", optopt);
        default:
            return s3_error_set(reterr, S3_ERROR_CONFIG, "unknown option -%c", optopt);
        }
    }
    if (type && strcmp(type, "pailfs") != 0 && strcmp(type, "fuse.pailfs") != 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "type '%s' is not pailfs: use -t pailfs or -t fuse.pailfs", type);
    for (; optind < argc; optind++, n_operands++)
        if (n_operands < ARRAY_SIZE(operands))
            operands[n_operands] = argv[optind];
    if (n_operands != ARRAY_SIZE(operands))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "expected SPEC and DIR, got %zu operands (usage: mount.pailfs "
                            "BUCKET[:/PREFIX] DIR [-sfnv] [-o OPTIONS])",
                            n_operands);
    r->source = operands[0];
    r->mountpoint = operands[1];
    for (size_t i = 0; i < n_lists; i++) {
        rc = add_options(r, lists[i], reterr);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void mount_request_done(struct mount_request *r)
{
    strbuf_done(&r->options);
}

const char *mount_find_driver(const char *self_dir, char *buf, unsigned size)
{
    /* /usr/sbin -> /usr/bin in a package; mount-helper -> src in a build folder. */
    const char *beside[] = {"pailfs", "../bin/pailfs", "../src/pailfs"};
    const char *usual[] = {"/usr/bin/pailfs", "/usr/local/bin/pailfs"};

    for (size_t i = 0; self_dir && i < ARRAY_SIZE(beside); i++) {
        int n = snprintf(buf, size, "%s/%s", self_dir, beside[i]);

        if (n > 0 && (unsigned)n < size && access(buf, X_OK) == 0)
            return buf;
    }
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
        if (access(usual[i], X_OK) == 0)
            return usual[i];
    return NULL;
}
