// Tokens in the store, before anybody is served: what is there goes into the book, and where nothing is, the admin's token is made
// (controlplane/auth/admin_token.h). Afterwards the manager alone changes tokens.
//
// Thread contract: one thread, before the manager has the store.
#pragma once

#include <string>

#include "controlplane/auth/token_book.h"
#include "controlplane/store/store.h"

namespace guideway::controlplane {

/// Fills the book from the store. Where it holds no token, "admin" is made, its text written to `admin_token_file`, and its record
/// committed. Empty: done; else a sentence that says what failed.
std::string open_tokens(store::Store& store, auth::TokenBook& book, const std::string& admin_token_file,
                        auth::Time now);
/// "admin" gets a new secret, its only one; the file has it. For an appliance whose file was lost.
std::string renew_admin_token(store::Store& store, const std::string& admin_token_file, auth::Time now);

}  // namespace guideway::controlplane
