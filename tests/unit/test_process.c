/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuse/process.h"

#define BIT(signal) (UINT64_C(1) << ((signal)-1))

static enum process_fate by_status(uint64_t pending, uint64_t shared, uint64_t blocked,
                                   uint64_t ignored, uint64_t caught, int tracer)
{
    char text[512];
    snprintf(text, sizeof(text),
             "Name:\tSigPnd:\nTracerPid:\t%d\nThreads:\t1\nSigQ:\t0/1\nSigPnd:\t%016jx\n"
             "ShdPnd:\t%016jx\nSigBlk:\t%016jx\nSigIgn:\t%016jx\nSigCgt:\t%016jx\nCapInh:\t0\n",
             tracer, (uintmax_t)pending, (uintmax_t)shared, (uintmax_t)blocked, (uintmax_t)ignored,
             (uintmax_t)caught);
    return process_fate_by_status(text);
}

static void test_pending(void **state)
{
    assert_int_equal(by_status(0, 0, 0, 0, 0, 0), PROCESS_WAITS);
    /* Of the thread, or of the process. */
    assert_int_equal(by_status(BIT(SIGINT), 0, 0, 0, 0, 0), PROCESS_DEAD);
    assert_int_equal(by_status(0, BIT(SIGTERM), 0, 0, 0, 0), PROCESS_DEAD);
    assert_int_equal(by_status(BIT(SIGKILL), 0, 0, 0, 0, 0), PROCESS_DEAD);
    /* What is caught, ignored, blocked, or harmless by itself. */
    assert_int_equal(by_status(BIT(SIGUSR1), 0, 0, 0, BIT(SIGUSR1), 0), PROCESS_WAITS);
    assert_int_equal(by_status(BIT(SIGURG), 0, 0, 0, UINT64_MAX, 0), PROCESS_WAITS);
    assert_int_equal(by_status(0, BIT(SIGINT), 0, BIT(SIGINT), 0, 0), PROCESS_WAITS);
    assert_int_equal(by_status(0, BIT(SIGTERM), BIT(SIGTERM), 0, 0, 0), PROCESS_WAITS);
    assert_int_equal(
        by_status(0, BIT(SIGCHLD) | BIT(SIGWINCH) | BIT(SIGURG) | BIT(SIGTSTP), 0, 0, 0, 0),
        PROCESS_WAITS);
    /* Asked to end, with a handler for it. */
    assert_int_equal(by_status(0, BIT(SIGINT), 0, 0, BIT(SIGINT), 0), PROCESS_TOLD);
    assert_int_equal(by_status(0, BIT(SIGINT) | BIT(SIGUSR1), 0, 0, BIT(SIGINT), 0), PROCESS_DEAD);
    /* A debugger may take it away. */
    assert_int_equal(by_status(0, BIT(SIGINT), 0, 0, 0, 7), PROCESS_WAITS);
    assert_int_equal(by_status(BIT(SIGKILL), 0, 0, 0, 0, 7), PROCESS_DEAD);
    assert_int_equal(process_fate_by_status(""), PROCESS_WAITS);
}

static void test_on_its_way_out(void **state)
{
#define REST " 0 0 0 0 0 0 20 0 1 0 100 0 0 0 0"
    assert_int_equal(process_fate_by_stat("7 (a) b) S 1 7 7 0 -1 4194564" REST " 15\n"),
                     PROCESS_DEAD);
    /* By exit(2), or not at all. */
    assert_int_equal(process_fate_by_stat("7 (cat) S 1 7 7 0 -1 4194564" REST " 33280\n"),
                     PROCESS_WAITS);
    assert_int_equal(process_fate_by_stat("7 (cat) S 1 7 7 0 -1 4194560" REST " 15\n"),
                     PROCESS_WAITS);
    assert_int_equal(process_fate_by_stat("7 (cat"), PROCESS_WAITS);
    assert_int_equal(process_fate_by_stat(""), PROCESS_WAITS);
}

/* It ends itself at SIGUSR1, and blocks all other signals. */
static pid_t child(void)
{
    int ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        sigset_t all;
        sigfillset(&all);
        sigdelset(&all, SIGUSR1);
        (void)sigprocmask(SIG_SETMASK, &all, NULL);
        (void)signal(SIGUSR1, _exit);
        (void)!write(ready[1], "", 1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void test_real_ones(void **state)
{
    assert_int_equal(process_fate(0), PROCESS_WAITS);
    assert_int_equal(process_fate(getpid()), PROCESS_WAITS);
    assert_int_equal(process_of(getpid()), getpid());
    pid_t pid = child();
    assert_int_equal(process_fate(pid), PROCESS_WAITS);
    /* Blocked: it stays pending. */
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(process_fate(pid), PROCESS_WAITS);
    /* What is left of it has been ended by a signal. */
    siginfo_t info;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(process_fate(pid), PROCESS_DEAD);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(process_fate(pid), PROCESS_GONE);
    /* By exit(2). */
    pid = child();
    assert_int_equal(kill(pid, SIGUSR1), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(process_fate(pid), PROCESS_WAITS);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pending),
        cmocka_unit_test(test_on_its_way_out),
        cmocka_unit_test(test_real_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
