/* SPDX-License-Identifier: Apache-2.0 */
#include "aws_world.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"

static const char *world_getenv(void *ctx, const char *name)
{
    const struct aws_world *w = ctx;

    for (unsigned i = 0; i < w->n_env; i++)
        if (strcmp(w->env[i].name, name) == 0)
            return w->env[i].value;
    return strcmp(name, "HOME") == 0 ? w->home : NULL;
}

void aws_world_put_env(struct aws_world *w, const char *name, const char *value)
{
    assert_in_range(w->n_env, 0, ARRAY_SIZE(w->env) - 1);
    w->env[w->n_env].name = name;
    w->env[w->n_env].value = value;
    w->n_env++;
}

void aws_world_put_file(const struct aws_world *w, const char *name, unsigned mode,
                        const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", w->home, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

struct aws_config *aws_world_config(struct aws_world *w)
{
    struct aws_config *c = NULL;
    struct s3_error error = {0};

    if (aws_config_load(&w->args, &c, &error) < 0)
        fail_msg("%s", error.message);
    return c;
}

int aws_world_setup(void **state)
{
    struct aws_world *w = calloc(1, sizeof(*w));
    char path[128];

    if (!w)
        return -1;
    snprintf(w->home, sizeof(w->home), "/tmp/pailfs-aws-XXXXXX");
    if (!mkdtemp(w->home))
        return -1;
    snprintf(w->passwd, sizeof(w->passwd), "%s/passwd", w->home);
    snprintf(path, sizeof(path), "%s/.aws", w->home);
    if (mkdir(path, 0700) < 0)
        return -1;
    w->args.path_style = -1;
    w->args.getenv = world_getenv;
    w->args.getenv_ctx = w;
    clock_fake_init(&w->clock, 1700000000 * NS_PER_S);
    *state = w;
    return 0;
}

int aws_world_teardown(void **state)
{
    static const char *const names[] = {
        ".aws/config", ".aws/credentials", ".passwd-s3fs", "passwd", "other", ".aws", ""};
    struct aws_world *w = *state;
    char path[128];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", w->home, names[i]);
        remove(path);
    }
    free(w);
    return 0;
}
