/* SPDX-License-Identifier: Apache-2.0 */
#include "tempfolder.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *tempfolder_make(void)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;

    if (asprintf(&path, "%s/pailfs-unit.XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(path)) {
        perror("mkdtemp");
        abort();
    }
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

void tempfolder_remove(char *path)
{
    if (path)
        (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(path);
}

unsigned tempfolder_count(const char *path, const char *prefix)
{
    DIR *dir = opendir(path);
    unsigned n = 0;

    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    if (dir)
        closedir(dir);
    return n;
}
