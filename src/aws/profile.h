/* SPDX-License-Identifier: Apache-2.0 */
/* ~/.aws/config and ~/.aws/credentials: INI with profiles and one level of nested settings
 * ("s3 =" followed by indented lines).
 * https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 * Values are kept whole: no length limit below LIMIT_INI_LINE, ';' and '#' inside a value stay
 * unless preceded by white space. */
#ifndef PAILFS_AWS_PROFILE_H
#define PAILFS_AWS_PROFILE_H

#include <stddef.h>

#include "base/error.h"

struct aws_profile_file;

enum aws_profile_kind {
    AWS_PROFILE_CONFIG,      /* sections "[profile NAME]" and "[default]" */
    AWS_PROFILE_CREDENTIALS, /* sections "[NAME]" */
};

int aws_profile_new(struct aws_profile_file **ret);
/* Merges the text into f; what is already there wins. Errors name `path` and the line. */
int aws_profile_parse(struct aws_profile_file *f, enum aws_profile_kind kind, const char *path,
                      const char *text, size_t len, struct s3_error *reterr);
/* Reads and parses; a missing file is 0 and changes nothing. */
int aws_profile_read(struct aws_profile_file *f, enum aws_profile_kind kind, const char *path,
                     struct s3_error *reterr);
/* Borrowed, NULL = no such profile or key. nested NULL = a plain key; "s3" looks into its block. */
const char *aws_profile_get(const struct aws_profile_file *f, const char *profile,
                            const char *nested, const char *key);
int aws_profile_exists(const struct aws_profile_file *f, const char *profile);
void aws_profile_free(struct aws_profile_file *f);

#endif
