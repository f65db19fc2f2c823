// The commands, each a function of a Session that answers an exit code. One file a group: read.cc (get, describe, events), change.cc (apply,
// delete, drain), edit.cc, import.cc, tokens.cc, system.cc (status, explain, top), drops.cc, tap.cc (trace, capture), announce.cc (bgp,
// maintenance), backup.cc (backup, restore).
// Thread contract: one thread.
#pragma once

#include <vector>

#include "api/cli/documents.h"
#include "api/cli/session.h"

namespace guideway::cli {

int get(Session& session);
/// Lists session.kind, or shows the one of session.name.
int show_kind(Session& session);
int describe(Session& session);
int events(Session& session);

int apply(Session& session);
/// One after the other, with --wait, --dry-run and -o as `apply` has them.
int apply_documents(Session& session, const std::vector<Document>& documents);
int remove(Session& session);
int drain(Session& session);
int undrain(Session& session);
int edit(Session& session);
int import_metallb(Session& session);

int list_tokens(Session& session);
int create_token(Session& session);
int rotate_token(Session& session);
int delete_token(Session& session);

int explain(Session& session);
int status(Session& session);
int top(Session& session);
int drops(Session& session);
int bgp(Session& session);
int maintenance(Session& session);
int trace(Session& session);
int capture(Session& session);

int backup(Session& session);
int restore(Session& session);

}  // namespace guideway::cli
