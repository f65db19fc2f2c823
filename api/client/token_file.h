// Token file: where a bearer token lies on disk, and how a client reads it.
//
// The control plane makes one at its first start (the token "admin"), for root alone; the `guideway` command finds it there
// by itself. The file holds the token and a line end, nothing else.
//
// Worked example: /var/lib/guideway/admin.token, mode 0600, "gw_4f1c..._9d2e...\n"
//     const client::TokenFile file = client::read_token_file(client::kDefaultTokenFile);
//     if (!file.ok()) { std::cerr << file.error; return 2; }   // "/.../admin.token: found mode 0644, allowed 0600 ..."
//     headers.emplace("Authorization", "Bearer " + file.token);
//
// Thread contract: pure but for the file.
#pragma once

#include <string>
#include <string_view>

namespace guideway::client {

/// Beside the store of configs/guideway.cfg; `controlplane.admin_token_file` sets another one.
inline constexpr const char* kDefaultTokenFile = "/var/lib/guideway/admin.token";

struct TokenFile {
    std::string token;     ///< without the line end; safe to put into a header
    std::string error;     ///< a sentence with the path, what was found and what is allowed; empty: read
    bool missing = false;  ///< the error is that there is no such file
    bool ok() const { return error.empty(); }
};

/// Whether this can follow "Bearer " (RFC 6750 section 2.1: letters, digits, -._~+/ and = at the end), at most 1024 bytes.
bool is_bearer_token(std::string_view text);

/// Refused: what others than its owner may read or write (a secret that leaked), an owner who is neither root nor the
/// user of this process, anything but a regular file, more than one token. Symbolic links are followed.
TokenFile read_token_file(const std::string& path);

}  // namespace guideway::client
