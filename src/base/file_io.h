/* SPDX-License-Identifier: Apache-2.0 */
/* read and write that go on after signals and short counts, and folders. 0 or -errno; descriptors
 * stay the caller's. */
#ifndef PAILFS_BASE_FILE_IO_H
#define PAILFS_BASE_FILE_IO_H

#include <stddef.h>
#include <stdint.h>

/* All of it. -EIO where the system takes nothing and does not say why. */
int file_write(int fd, const void *buf, size_t len);
int file_pwrite(int fd, const void *buf, size_t len, uint64_t offset);

/* Until len bytes are there or the file ends: *ret_len tells, also of a failure. */
int file_read(int fd, void *buf, size_t len, size_t *ret_len);
int file_pread(int fd, void *buf, size_t len, uint64_t offset, size_t *ret_len);

/* Makes path and what is missing above it, mode 0700. 0 or -errno. */
int file_make_folders(const char *path);

#endif
