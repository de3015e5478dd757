/* SPDX-License-Identifier: Apache-2.0 */
/* --help, from the table. */
#include <string.h>

#include "conf/options_table.h"

#define WIDTH  78u
#define INDENT 6u

static const char *arg_name(const struct conf_row *row)
{
    if (row->arg)
        return row->arg;
    switch (row->type) {
    case CONF_STRING:
        return "TEXT";
    case CONF_PATH:
        return "PATH";
    case CONF_SIZE:
        return "SIZE";
    case CONF_DURATION:
        return "TIME";
    case CONF_UINT:
        return "NUMBER";
    case CONF_MODE:
        return "OCTAL";
    case CONF_UID:
        return "USER";
    case CONF_GID:
        return "GROUP";
    case CONF_ENUM:
        return "WORD";
    case CONF_BOOL:
    case CONF_PRESET:
    case CONF_KERNEL:
    case CONF_IGNORED:
    case CONF_UNSUPPORTED:
        break;
    }
    return NULL;
}

/* Words of text, wrapped; *column is where the line stands. */
static void append_wrapped(struct strbuf *sb, const char *text, unsigned indent, unsigned *column)
{
    while (*text) {
        size_t len = strcspn(text, " ");
        if (*column > indent && *column + 1 + len > WIDTH) {
            strbuf_appendf(sb, "\n%*s", (int)indent, "");
            *column = indent;
        } else if (*column > indent) {
            strbuf_append_char(sb, ' ');
            (*column)++;
        }
        strbuf_append(sb, text, len);
        *column += (unsigned)len;
        text += len;
        text += strspn(text, " ");
    }
}

static void append_row(struct strbuf *sb, const struct conf_row *row)
{
    const char *arg = arg_name(row);
    strbuf_append_str(sb, "  ");
    if (row->letter)
        strbuf_appendf(sb, "-%c, ", row->letter);
    strbuf_appendf(sb, "%s%s%s\n%*s", row->name, arg ? "=" : "", arg ? arg : "", (int)INDENT, "");

    unsigned column = INDENT;
    append_wrapped(sb, row->help, INDENT, &column);
    CLEANUP_STRBUF struct strbuf facts = STRBUF_INIT(1024);
    bool ranged = row->type == CONF_SIZE || row->type == CONF_DURATION || row->type == CONF_UINT ||
                  row->type == CONF_ENUM;
    if (ranged) {
        strbuf_append_str(&facts, "(");
        conf_value_range(row, &facts);
    }
    if (conf_row_has_field(row) && row->value)
        strbuf_appendf(&facts, "%sdefault %s", facts.len ? "; " : "(", row->value);
    if (facts.len)
        strbuf_append_char(&facts, ')');
    append_wrapped(sb, strbuf_str(&facts), INDENT, &column);
    if (row->aliases) {
        append_wrapped(sb, "[also:", INDENT, &column);
        append_wrapped(sb, row->aliases, INDENT, &column);
        strbuf_append_char(sb, ']');
    }
    strbuf_append_char(sb, '\n');
}

static void append_words(struct strbuf *sb, enum conf_group group, enum conf_type type,
                         const char *title)
{
    unsigned column = INDENT;
    strbuf_appendf(sb, "  %s:\n%*s", title, (int)INDENT, "");
    for (size_t i = 0; i < conf_n_rows; i++)
        if (conf_rows[i].group == group && conf_rows[i].type == type)
            append_wrapped(sb, conf_rows[i].name, INDENT, &column);
    strbuf_append_char(sb, '\n');
}

void conf_help(struct strbuf *sb)
{
    strbuf_append_str(
        sb, "Usage: pailfs BUCKET[:/PREFIX] MOUNTPOINT [-o name=value,...] [--name value]\n"
            "\n"
            "Mounts a bucket of S3 or a compatible server. BUCKET may also be written as\n"
            "s3://BUCKET/PREFIX/ or as an ARN. Each option can be given as -o name=value,\n"
            "--name value, --name=value, or in the environment as PAILFS_NAME. Credentials\n"
            "come from the places that the AWS command line uses, or from passwd_file.\n");
    for (int g = 0; g < CONF_GROUP_MAX; g++) {
        strbuf_appendf(sb, "\n%s\n", conf_group_titles[g]);
        if (g == CONF_GROUP_MOUNT) {
            append_words(sb, g, CONF_KERNEL, "passed on to the kernel");
            append_words(sb, g, CONF_IGNORED, "accepted, meant for mount(8) or systemd");
        } else if (g == CONF_GROUP_PEERS) {
            append_words(sb, g, CONF_IGNORED, "accepted without effect");
            append_words(sb, g, CONF_UNSUPPORTED, "refused, with the reason");
        } else {
            for (size_t i = 0; i < conf_n_rows; i++)
                if (conf_rows[i].group == (enum conf_group)g)
                    append_row(sb, &conf_rows[i]);
        }
    }
    strbuf_append_str(sb, "\nThe manual: pailfs(1). What a mount promises: pailfs(7).\n");
}
