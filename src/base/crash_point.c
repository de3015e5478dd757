/* SPDX-License-Identifier: Apache-2.0 */
#include "base/crash_point.h"

#ifdef PAILFS_CRASH_POINTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char wanted[128];
static unsigned long wanted_pass;
static atomic_ulong passes;
static int trace = -1;

static void read_environment(void)
{
    const char *at = getenv("PAILFS_CRASH_AT"), *file = getenv("PAILFS_CRASH_TRACE");

    if (at) {
        const char *colon = strchr(at, ':');

        (void)snprintf(wanted, sizeof(wanted), "%.*s", colon ? (int)(colon - at) : 127, at);
        wanted_pass = colon ? strtoul(colon + 1, NULL, 10) : 1;
    }
    if (file)
        trace = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

void crash_point(const char *name, const char *middle, const char *end)
{
    char text[128];
    int n;

    (void)pthread_once(&once, read_environment);
    if (trace < 0 && !wanted[0])
        return;
    n = snprintf(text, sizeof(text) - 1, "%s%s%s%s%s", name, *middle ? "." : "", middle,
                 *end ? "." : "", end);
    if (n < 0 || (size_t)n >= sizeof(text) - 1)
        return;
    if (strcmp(text, wanted) == 0 && atomic_fetch_add(&passes, 1) + 1 == wanted_pass) {
        (void)raise(SIGKILL);
        for (;;)
            (void)pause(); /* another thread's signal may take a moment */
    }
    if (trace >= 0) {
        text[n] = '\n';
        if (write(trace, text, (size_t)n + 1) < 0)
            trace = -1;
    }
}

#endif
