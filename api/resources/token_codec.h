// The JSON form of Token, Kubernetes style (camelCase; kind, metadata, spec, status). The secret is in `status.token` of the
// answers that show it.
//
// decode_token reads what a client PUTs: fields that the server sets are accepted and ignored. read_token reads what the server
// answers, server-set fields included.
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/contract/decoded.h"
#include "api/resources/list.h"
#include "api/resources/token.h"

namespace guideway::resources {

/// One line; `pretty`: indented.
std::string encode(const Token& object, bool pretty = false);
/// {"kind": "TokenList", "items": [...]}, and with what a page of it says.
std::string encode(const std::vector<Token>& objects, bool pretty = false);
std::string encode(const List<Token>& list, bool pretty = false);

/// `name` is that of the path. Whether `expiresAt` is still to come is not looked at.
contract::Decoded<Token> decode_token(std::string_view body, std::string_view name);
contract::Decoded<Token> read_token(std::string_view body);
contract::Decoded<std::vector<Token>> read_token_list(std::string_view body);
contract::Decoded<List<Token>> read_token_page(std::string_view body);

}  // namespace guideway::resources
