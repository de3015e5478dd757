/* SPDX-License-Identifier: Apache-2.0 */
/* The providers that the chain is made of; only credentials_chain.c and the providers include
 * this. Each is a struct aws_credentials_provider's load function. */
#ifndef PAILFS_AWS_CREDENTIALS_PROVIDERS_H
#define PAILFS_AWS_CREDENTIALS_PROVIDERS_H

#include "aws/credentials.h"

/* credentials_file.c */
int aws_load_shared_file(const struct aws_config *config, struct clock *clock,
                         struct aws_credentials **ret, struct s3_error *reterr);
int aws_load_config_file(const struct aws_config *config, struct clock *clock,
                         struct aws_credentials **ret, struct s3_error *reterr);
/* credentials_passwd.c */
int aws_load_passwd_file(const struct aws_config *config, struct clock *clock,
                         struct aws_credentials **ret, struct s3_error *reterr);
int aws_load_default_passwd_file(const struct aws_config *config, struct clock *clock,
                                 struct aws_credentials **ret, struct s3_error *reterr);

/* What every provider does with the texts it found (NULL or "" = not there): 0 when there is
 * neither id nor secret; 1 with the keys; an error that names `where` when one of the two is
 * missing or holds what cannot be part of a key. */
int aws_make_credentials(const char *access_key_id, const char *secret_access_key,
                         const char *session_token, int64_t expiry_ns, const char *provider,
                         const char *where, struct aws_credentials **ret, struct s3_error *reterr);

#endif
