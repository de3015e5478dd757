/* SPDX-License-Identifier: Apache-2.0 */
/* Scripted misbehaviour: rules that make chosen requests fail in chosen ways. README.md has the
 * language. Thread-safe; a rule's count is taken atomically. */
#ifndef S3D_FAULTS_H
#define S3D_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strbuf;

enum fault_action {
    FAULT_NONE,
    FAULT_STATUS, /* status, code */
    FAULT_DELAY,  /* amount: ms */
    FAULT_STALL,  /* amount: bytes before */
    FAULT_CUT,    /* amount: bytes before */
    FAULT_RESET,  /* amount: bytes before */
    FAULT_WRONG_CHECKSUM,
    FAULT_CORRUPT_BODY,
    FAULT_BROKEN_XML,
    FAULT_TRUNCATED_XML,
    FAULT_WRONG_LENGTH, /* delta */
    FAULT_200_ERROR,    /* code */
    FAULT_REPEAT_TOKEN,
    FAULT_EMPTY_BODY,
    FAULT_HANG,
    FAULT_LOST_ANSWER,
    FAULT_FEWER_PARTS,
    FAULT_ACTION_MAX,
};

/* What one request was dealt. */
struct fault {
    enum fault_action action;
    bool after; /* the operation is carried out first */
    int status;
    uint64_t amount;
    int64_t delta;
    char code[64];
};

struct faults;

struct faults *faults_new(void);
void faults_free(struct faults *f);
/* Adds rules, one a line; '#' begins a comment. All or none: -EINVAL with the line and reason in
 * message. */
int faults_add(struct faults *f, const char *text, size_t len, char *message, size_t size);
void faults_clear(struct faults *f);
/* The rules with what is left of them, as text. */
void faults_write(struct faults *f, struct strbuf *out);
/* What happens to this request; the first rule that matches and is due wins. */
struct fault faults_match(struct faults *f, const char *op, const char *bucket, const char *key,
                          size_t key_len);
const char *fault_action_name(enum fault_action a);

#endif
