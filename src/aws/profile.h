/* SPDX-License-Identifier: Apache-2.0 */
/* ~/.aws/config and ~/.aws/credentials: INI with profiles and one level of nested settings
 * ("s3 =" followed by indented lines).
 * https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 *
 * Read the way the AWS CLI reads it where that is stricter than the page above, and more mildly
 * where people's files are: ':' for '=', indented keys, one section in several places.
 * - A line indented deeper than the key before it belongs to that key: a block of settings when
 *   nothing follows the '=', further lines of the value otherwise.
 * - '#' and ';' begin a comment at the start of a line and after white space.
 * - Keys are compared without case, profile names with it.
 * - "[profile default]" replaces "[default]" wherever it stands. Within a file the last of two
 *   equal keys counts, between files what is already there.
 * - Sections of other kinds ("[sso-session x]") and sections whose name is broken are skipped.
 * Values are kept whole: no length limit below LIMIT_INI_LINE.
 *
 * Life: aws_profile_new -> parse or read... -> get... -> free. Values are wiped when freed. Not
 * locked: reading from several threads is fine once nobody parses any more. */
#ifndef PAILFS_AWS_PROFILE_H
#define PAILFS_AWS_PROFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct aws_profile_file;

enum aws_profile_kind {
    AWS_PROFILE_CONFIG,      /* sections "[profile NAME]", "[default]" and "[services NAME]" */
    AWS_PROFILE_CREDENTIALS, /* sections "[NAME]" */
};

int aws_profile_new(struct aws_profile_file **ret);
/* Merges the text into f; what is already there wins. Errors name `path` and the line, never the
 * line's text: it may be a secret. After an error f holds what came before the bad line. */
int aws_profile_parse(struct aws_profile_file *f, enum aws_profile_kind kind, const char *path,
                      const char *text, size_t len, struct s3_error *reterr);
/* Reads and parses; a missing file is 0 and changes nothing. */
int aws_profile_read(struct aws_profile_file *f, enum aws_profile_kind kind, const char *path,
                     struct s3_error *reterr);
/* Borrowed, NULL = no such profile or key. nested NULL = a plain key; "s3" looks into its block. */
const char *aws_profile_get(const struct aws_profile_file *f, const char *profile,
                            const char *nested, const char *key);
/* From "[services NAME]", which profiles refer to by "services = NAME". */
const char *aws_profile_get_service(const struct aws_profile_file *f, const char *services,
                                    const char *nested, const char *key);
bool aws_profile_exists(const struct aws_profile_file *f, const char *profile);
void aws_profile_free(struct aws_profile_file *f); /* NULL ok */

#endif
