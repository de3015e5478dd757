/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for a test, below $TMPDIR. */
#ifndef PAILFS_TESTS_TEMPFOLDER_H
#define PAILFS_TESTS_TEMPFOLDER_H

/* Owned by the caller, who gives it to tempfolder_remove. */
char *tempfolder_make(void);
/* With all that is in it. NULL ok. */
void tempfolder_remove(char *path);
/* Entries whose names begin with prefix. */
unsigned tempfolder_count(const char *path, const char *prefix);

#endif
