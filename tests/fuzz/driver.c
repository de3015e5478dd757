/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a fuzz target where there is no libFuzzer.
 *
 *     test_fuzz_NAME            mutations of the target's seeds
 *     test_fuzz_NAME FILE...    each file once
 *
 * There are $FUZZ_RUNS mutations (20,000), from the random seed $FUZZ_SEED (1): the same two
 * numbers make the same inputs. When an input breaks the target, its number is printed and it is
 * written to fuzz-crash in the current folder. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX 4096

static uint8_t input[INPUT_MAX];
static size_t input_len;
static unsigned long run;
static uint64_t random_state;

/* Where the sanitizers are linked in, they end the process without a signal. */
extern void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static void keep_input(void)
{
    int fd = open("fuzz-crash", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char text[64];
    int n = snprintf(text, sizeof(text), "run %lu: input is in fuzz-crash\n", run);

    if (write(STDOUT_FILENO, text, (size_t)n) < 0 || (fd >= 0 && write(fd, input, input_len) < 0))
        _exit(1);
}

static void on_signal(int number)
{
    keep_input();
    signal(number, SIG_DFL);
    raise(number);
}

/* splitmix64 */
static uint64_t next_random(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 <= result < n, n > 0 */
static size_t below(size_t n)
{
    return (size_t)(next_random() % n);
}

static size_t count_seeds(void)
{
    size_t n = 0;

    while (fuzz_seeds[n])
        n++;
    return n;
}

static void insert(size_t at, const void *bytes, size_t len)
{
    uint8_t copy[INPUT_MAX];

    if (len > INPUT_MAX - input_len)
        len = INPUT_MAX - input_len;
    memcpy(copy, bytes, len); /* they may come from the input itself */
    memmove(input + at + len, input + at, input_len - at);
    memcpy(input + at, copy, len);
    input_len += len;
}

static void cut(size_t at, size_t len)
{
    memmove(input + at, input + at + len, input_len - at - len);
    input_len -= len;
}

static void mutate(size_t n_seeds)
{
    size_t at = below(input_len + 1);
    size_t left = input_len - at;
    const char *other;
    uint8_t byte;

    switch (below(7)) {
    case 0: /* any byte */
        byte = (uint8_t)next_random();
        insert(at, &byte, 1);
        break;
    case 1: /* a byte that is in the input already is likelier to mean something */
        if (input_len > 0)
            insert(at, &input[below(input_len)], 1);
        break;
    case 2:
        if (left > 0)
            input[at] ^= (uint8_t)(1u << below(8));
        break;
    case 3:
        if (left > 0)
            cut(at, 1 + below(left < 8 ? left : 8));
        break;
    case 4: /* once more the same */
        if (left > 0)
            insert(below(input_len + 1), input + at, 1 + below(left));
        break;
    case 5: /* a piece of another seed */
        other = fuzz_seeds[below(n_seeds)];
        if (*other) {
            size_t from = below(strlen(other));

            insert(at, other + from, 1 + below(strlen(other) - from));
        }
        break;
    default: /* the end is missing */
        if (below(4) == 0)
            input_len = at;
        break;
    }
}

static void run_mutations(unsigned long runs)
{
    size_t n_seeds = count_seeds();

    for (run = 0; run < runs; run++) {
        const char *seed = fuzz_seeds[below(n_seeds)];

        input_len = 0;
        insert(0, seed, strlen(seed));
        /* the first runs are the seeds as they are */
        for (size_t i = run < n_seeds ? 0 : 1 + below(12); i > 0; i--)
            mutate(n_seeds);
        LLVMFuzzerTestOneInput(input, input_len);
    }
}

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = NULL;
    size_t size = 0, n;

    if (!f) {
        printf("%s: %s\n", path, strerror(errno));
        return 1;
    }
    do {
        uint8_t *more = realloc(data, size + INPUT_MAX);

        if (!more)
            break;
        data = more;
        n = fread(data + size, 1, INPUT_MAX, f);
        size += n;
    } while (n > 0);
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

static unsigned long number(const char *variable, unsigned long fallback)
{
    const char *s = getenv(variable);

    return s ? strtoul(s, NULL, 10) : fallback;
}

int main(int argc, char **argv)
{
    unsigned long runs = number("FUZZ_RUNS", 20000);
    int r = 0;

    if (argc > 1) {
        for (int i = 1; i < argc; i++)
            r |= run_file(argv[i]);
        return r;
    }
    random_state = number("FUZZ_SEED", 1);
    printf("%lu runs, seed %lu\n", runs, (unsigned long)random_state);
    fflush(stdout);
    signal(SIGSEGV, on_signal);
    signal(SIGABRT, on_signal);
    signal(SIGILL, on_signal);
    signal(SIGTRAP, on_signal);
    signal(SIGBUS, on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(keep_input);
    run_mutations(runs);
    return 0;
}
