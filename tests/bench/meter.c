/* SPDX-License-Identifier: Apache-2.0 */
#include "meter.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define METER_ROWS    200000 /* of 2 ms */
#define METER_STEP_NS 2000000

static struct {
    pthread_mutex_t lock;
    pthread_cond_t go;
    bool started;
    struct timespec start;
    _Atomic bool failed, ended;
    _Atomic uint64_t bytes;
    const char *path; /* of the timeline, or NULL */
    pthread_t sampler;
    struct {
        double s;
        uint64_t bytes;
    } * rows;
    size_t n_rows;
} meter = {.lock = PTHREAD_MUTEX_INITIALIZER, .go = PTHREAD_COND_INITIALIZER};

void meter_fail(void)
{
    meter.failed = true;
}

bool meter_failed(void)
{
    return meter.failed;
}

void meter_add(uint64_t n)
{
    meter.bytes += n;
}

void meter_timeline(const char *path)
{
    meter.path = path;
}

static double meter_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - meter.start.tv_sec) +
           (double)(now.tv_nsec - meter.start.tv_nsec) / 1e9;
}

void meter_wait(void)
{
    pthread_mutex_lock(&meter.lock);
    while (!meter.started)
        pthread_cond_wait(&meter.go, &meter.lock);
    pthread_mutex_unlock(&meter.lock);
}

static void *meter_sample(void *ctx)
{
    const struct timespec step = {.tv_nsec = METER_STEP_NS};
    (void)ctx;
    while (!meter.ended && meter.n_rows < METER_ROWS) {
        meter.rows[meter.n_rows].s = meter_seconds();
        meter.rows[meter.n_rows++].bytes = meter.bytes;
        nanosleep(&step, NULL);
    }
    return NULL;
}

void meter_start(void)
{
    pthread_mutex_lock(&meter.lock);
    clock_gettime(CLOCK_MONOTONIC, &meter.start);
    meter.started = true;
    pthread_cond_broadcast(&meter.go);
    pthread_mutex_unlock(&meter.lock);
    meter.rows = meter.path ? malloc(METER_ROWS * sizeof(*meter.rows)) : NULL;
    if (meter.rows && pthread_create(&meter.sampler, NULL, meter_sample, NULL)) {
        free(meter.rows);
        meter.rows = NULL;
    }
}

int meter_end(bool ok)
{
    double s = meter_seconds();
    meter.ended = true;
    if (meter.rows) {
        FILE *f = fopen(meter.path, "we");
        pthread_join(meter.sampler, NULL);
        for (size_t i = 0; f && i < meter.n_rows; i++)
            fprintf(f, "%.4f %llu\n", meter.rows[i].s, (unsigned long long)meter.rows[i].bytes);
        if (f)
            fprintf(f, "%.4f %llu\n", s, (unsigned long long)meter.bytes);
        if (!f || fclose(f) != 0)
            meter.failed = true;
        free(meter.rows);
    }
    if (!ok || meter.failed)
        return 1;
    printf("seconds %.6f\n", s);
    return 0;
}
