// The first token: made where the store has none, and left in a file that root alone can read (api/client/token_file.h), so that
// a new appliance can be used without a moment in which it is open to everybody.
//
// Order at the first start: file, then store. A crash between the two leaves a file with a token that nobody takes, and the next
// start, which finds a store without tokens, writes another one. The other order could leave a token whose text is nowhere.
//
// Lost file: `guideway-controlplane --new-admin-token` while the control plane is stopped (renew_admin_token).
//
// Thread contract: one thread, before the book is used by others.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "controlplane/auth/token_book.h"

namespace guideway::controlplane::auth {

inline constexpr const char* kAdminTokenName = "admin";

/// Writes one line, for its owner alone (0600): a new file beside it, synced, then renamed. Nothing: done; else what failed.
std::optional<std::string> write_token_file(const std::string& path, const std::string& text);

struct AdminToken {
    std::optional<TokenRecord> record;  ///< to be committed, then put_record(); none: there are tokens already
    std::string error;                  ///< empty: well
};

/// Where the book is empty: a token "admin" with the role admin, its text in the file. Its resource_version and generation are
/// the caller's to set.
AdminToken ensure_admin_token(const TokenBook& book, const std::string& path, Time now);
/// The token "admin" with a new secret, alone: earlier ones end. Made anew where there is none, without expiry, as an admin's.
AdminToken renew_admin_token(const TokenBook& book, const std::string& path, Time now);

}  // namespace guideway::controlplane::auth
