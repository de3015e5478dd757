/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "meta/mime.h"

static char path[2][64];

static const char *file(int i, const char *text)
{
    snprintf(path[i], sizeof(path[i]), "/tmp/pailfs-mime-XXXXXX");
    int fd = mkstemp(path[i]);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    return path[i];
}

static struct mime_table *table(const char *types, const char *globs)
{
    struct mime_table *t;
    const char *a = types ? file(0, types) : NULL, *b = globs ? file(1, globs) : NULL;
    assert_int_equal(mime_table_new(a, b, &t), 0);
    if (a)
        unlink(a);
    if (b)
        unlink(b);
    return t;
}

static void test_mime_types(void **state)
{
    struct mime_table *t = table("# comment\n\ntext/x-one\tone ONE uno\ntext/x-two two one\n"
                                 "no-slash bad\na/b/c bad\n/x bad\ntext/no-extension\n"
                                 "text/x\x01y bad\napplication/x-deep one.two",
                                 NULL);
    assert_string_equal(mime_table_find(t, "a.one"), "text/x-one");
    assert_string_equal(mime_table_find(t, "A.Uno"), "text/x-one");
    assert_string_equal(mime_table_find(t, "a.one.two"), "application/x-deep");
    assert_string_equal(mime_table_find(t, "a.x.two"), "text/x-two");
    assert_string_equal(mime_table_find(t, "a.bad"), MIME_DEFAULT);
    assert_string_equal(mime_table_find(t, "one"), MIME_DEFAULT);
    assert_string_equal(mime_table_find(t, ".one"), MIME_DEFAULT);
    assert_string_equal(mime_table_find(t, "a."), MIME_DEFAULT);
    assert_string_equal(mime_table_find(t, "."), MIME_DEFAULT);
    assert_string_equal(mime_table_find(t, ""), MIME_DEFAULT);
    assert_string_equal(mime_table_find(t, "a.json"), "application/json"); /* our own */
    mime_table_free(t);
}

static void test_globs2_stands_in(void **state)
{
    const char *globs =
        "# comment\n80:text/x-html:*.html\n50:text/x-other:*.html\n"
        "50:text/x-make:makefile\n50:text/x-c:*.[ch]\n50:application/x-ctar:*.tar.gz\n"
        "50:broken\n:::\n50:text/x-cs:*.C:cs\n";
    struct mime_table *t = table(NULL, globs);
    assert_string_equal(mime_table_find(t, "a.html"), "text/x-html");
    assert_string_equal(mime_table_find(t, "a.tar.gz"), "application/x-ctar");
    assert_string_equal(mime_table_find(t, "makefile"), MIME_DEFAULT);
    assert_string_equal(mime_table_find(t, "a.h"), MIME_DEFAULT);
    assert_string_equal(mime_table_find(t, "a.c"), "text/x-cs");
    mime_table_free(t);
    t = table("text/x-one one\n", globs);
    assert_string_equal(mime_table_find(t, "a.html"), "text/html");
    mime_table_free(t);
}

static void test_own_table(void **state)
{
    struct mime_table *t;
    assert_int_equal(mime_table_new("/nonexistent/types", "/nonexistent/globs", &t), 0);
    assert_string_equal(mime_table_find(t, "a.html"), "text/html");
    assert_string_equal(mime_table_find(t, "a.bin"), MIME_DEFAULT);
    mime_table_free(t);
    mime_table_free(NULL);
    /* The host's: whatever it is, these are there. */
    assert_string_equal(mime_type("index.HTML"), "text/html");
    assert_string_equal(mime_type("no-extension"), MIME_DEFAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mime_types),
        cmocka_unit_test(test_globs2_stands_in),
        cmocka_unit_test(test_own_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
