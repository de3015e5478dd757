/* SPDX-License-Identifier: Apache-2.0 */
/* A home folder and an environment of their own, for tests of what is read from there. The
 * functions fail the running test when something does not work. */
#ifndef PAILFS_TESTS_AWS_WORLD_H
#define PAILFS_TESTS_AWS_WORLD_H

#include "aws/config.h"
#include "base/clock.h"

struct aws_world {
    char home[64];
    char passwd[80]; /* "HOME/passwd": a name for a password file, which does not exist yet */
    struct {
        const char *name, *value;
    } env[8]; /* borrowed texts */
    unsigned n_env;
    struct aws_config_args args; /* path_style and getenv are set, the rest is zero */
    struct clock_fake clock;     /* 2023-11-14T22:13:20Z */
};

/* Test fixtures: *state is a struct aws_world. */
int aws_world_setup(void **state);
int aws_world_teardown(void **state);

#define AWS_WORLD_TEST(fn) cmocka_unit_test_setup_teardown(fn, aws_world_setup, aws_world_teardown)

/* The environment holds HOME and what is put here; the first of a name counts. */
void aws_world_put_env(struct aws_world *w, const char *name, const char *value);
/* Writes HOME/name: ".aws/config", ".aws/credentials", ".passwd-s3fs", "passwd" or "other"; these
 * are also what teardown removes. */
void aws_world_put_file(const struct aws_world *w, const char *name, unsigned mode,
                        const char *text);
struct aws_config *aws_world_config(struct aws_world *w);

#endif
