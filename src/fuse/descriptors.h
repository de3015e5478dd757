/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc tells about the descriptors of a program. FLUSH comes with every close of a descriptor
 * and does not say whether others are left: a shell's "command >file" opens the file, duplicates
 * the descriptor to 1 and closes the first, before the command begins. Thread-safe; asks the
 * kernel, never our own mount. */
#ifndef PAILFS_FUSE_DESCRIPTORS_H
#define PAILFS_FUSE_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Whether the process of this thread has a descriptor to write into the file with that inode
 * number. false also when that cannot be known: another user's process, a kernel before 5.14. Inode
 * numbers of a mount are 64-bit hashes (meta/inode.c), so another filesystem's file having the same
 * is out of the question. */
bool descriptors_have_writer(pid_t thread, uint64_t ino);

#endif
