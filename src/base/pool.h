/* SPDX-License-Identifier: Apache-2.0 */
/* A fixed set of worker threads and a FIFO of tasks, for work that blocks.
 * Life: threadpool_new -> threadpool_submit... -> threadpool_free (runs what is queued, joins).
 * Start it after daemonising: threads do not survive fork. */
#ifndef PAILFS_BASE_POOL_H
#define PAILFS_BASE_POOL_H

struct threadpool;

int threadpool_new(unsigned threads, const char *name, struct threadpool **ret);
/* 0, -ENOMEM, or -ESHUTDOWN after threadpool_free began. fn runs exactly once on success. */
int threadpool_submit(struct threadpool *p, void (*fn)(void *arg), void *arg);
/* Waits until nothing is queued or running. */
void threadpool_drain(struct threadpool *p);
void threadpool_free(struct threadpool *p);

#endif
