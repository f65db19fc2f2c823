// Token: a name under which somebody may use the REST API, and what that one may do. Key: name.
//
// The secret itself is in one answer only: that of its creation, or of its rotation (TokenStatus::token). A token has up to two valid
// secrets, so that a new one can be handed out before the old one is taken away. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/resources/metadata.h"

namespace guideway::resources {

struct TokenSpec {
    std::string role = "viewer";  ///< viewer, controller, admin
    std::string cluster;          ///< of a controller: required there, empty elsewhere
    std::string expires_at;       ///< RFC 3339, UTC; empty: never
    friend bool operator==(const TokenSpec&, const TokenSpec&) = default;
};

struct TokenSecret {
    std::string id;  ///< the part of the token that is no secret, to tell the two apart
    std::string created_at;
    std::string last_used_at;  ///< to the minute or so; empty: never
    friend bool operator==(const TokenSecret&, const TokenSecret&) = default;
};

struct TokenStatus {
    std::vector<TokenSecret> secrets;  ///< the newest first
    std::string token;                 ///< shown once
    friend bool operator==(const TokenStatus&, const TokenStatus&) = default;
};

struct Token {
    Metadata metadata;
    TokenSpec spec;
    TokenStatus status;
    friend bool operator==(const Token&, const Token&) = default;
};

}  // namespace guideway::resources
