/* SPDX-License-Identifier: Apache-2.0 */
/* Every table of state.db. A new table: a row here (made at the next open of any older database),
 * its file state_<name>.c, and FORMAT.md. A change that an older pailfs would misread: a new
 * STATE_SCHEMA_VERSION and a step in state.c. */
#include "meta/state_impl.h"

#include "base/attr.h"

const struct state_table state_tables[] = {
    {"meta", "CREATE TABLE meta(name TEXT PRIMARY KEY, value TEXT NOT NULL, crc INTEGER NOT NULL)",
     NULL},
    {"aside",
     "CREATE TABLE aside(id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, row INTEGER "
     "NOT "
     "NULL, content TEXT)",
     NULL},
    {"caps",
     "CREATE TABLE caps(id INTEGER PRIMARY KEY, server TEXT NOT NULL, caps TEXT NOT NULL, time "
     "INTEGER NOT NULL, crc INTEGER NOT NULL)",
     NULL},
    {"intents",
     "CREATE TABLE intents(id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, key TEXT "
     "NOT "
     "NULL, key2 TEXT, payload BLOB, time INTEGER NOT NULL, crc INTEGER NOT NULL)",
     "SELECT 1 FROM intents LIMIT 1"},
    {"uploads",
     "CREATE TABLE uploads(id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, upload TEXT, "
     "time INTEGER NOT NULL, keep INTEGER NOT NULL, crc INTEGER NOT NULL)",
     "SELECT 1 FROM uploads LIMIT 1"},
    {"journal", "CREATE TABLE journal(seq INTEGER PRIMARY KEY, record BLOB NOT NULL, body BLOB)",
     "SELECT 1 FROM journal LIMIT 1"},
};
const size_t state_n_tables = ARRAY_SIZE(state_tables);
