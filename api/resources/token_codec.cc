#include "api/resources/token_codec.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"
#include "api/resources/names.h"

namespace guideway::resources {

namespace {

using Tree = nlohmann::ordered_json;

constexpr std::string_view kKind = "Token";
constexpr json::TextRule kTime{0, 20, [](std::string_view text) { return text.empty() || is_utc_time(text); },
                               "a time such as 2026-01-02T03:04:05Z (RFC 3339, UTC, whole seconds)"};

Tree tree_of_token(const Token& object) {
    Tree out = head_of(kKind, Scope::appliance, object.metadata);
    Tree& spec = out["spec"] = Tree::object();
    spec["role"] = object.spec.role;
    if (!object.spec.cluster.empty()) spec["cluster"] = object.spec.cluster;
    if (!object.spec.expires_at.empty()) spec["expiresAt"] = object.spec.expires_at;
    Tree& status = out["status"] = Tree::object();
    Tree& secrets = status["secrets"] = Tree::array();
    for (const TokenSecret& secret : object.status.secrets) {
        Tree& one = secrets.emplace_back(Tree::object());
        one["id"] = secret.id;
        one["createdAt"] = secret.created_at;
        if (!secret.last_used_at.empty()) one["lastUsedAt"] = secret.last_used_at;
    }
    if (!object.status.token.empty()) status["token"] = object.status.token;
    return out;
}

TokenSpec read_spec(json::ObjectReader& reader) {
    TokenSpec out;
    json::ObjectReader spec = reader.required_object("spec");
    out.role = spec.required_string(
        "role",
        {0, 63, [](std::string_view text) { return text == "viewer" || text == "controller" || text == "admin"; },
         "viewer, controller or admin"});
    constexpr const char* kAllowed = "the cluster whose objects a controller may change (RFC 1123 label)";
    if (out.role == "controller") {
        out.cluster = spec.required_string("cluster", {1, 63, is_label, kAllowed});
    } else {
        out.cluster = spec.string_or(
            "cluster", {}, {0, 63, [](std::string_view text) { return text.empty() || is_label(text); }, kAllowed});
    }
    if ((out.role == "viewer" || out.role == "admin") && !out.cluster.empty()) {
        spec.fault("cluster",
                   "found " + json::ObjectReader::quoted(out.cluster) + ", allowed none where role is " + out.role);
    }
    out.expires_at = spec.string_or("expiresAt", {}, kTime);
    spec.finish();
    return out;
}

Token read_answer(json::ObjectReader& reader) {
    Token object;
    object.metadata = read_answer_head(reader, kKind, Scope::appliance);
    object.spec = read_spec(reader);
    json::ObjectReader status = reader.optional_object("status");
    status.each_object("secrets", {0, 16}, [&](json::ObjectReader& one) {
        TokenSecret secret;
        secret.id = one.required_string("id", json::length(1, 253));
        secret.created_at = one.string_or("createdAt", {}, json::length(0, 64));
        secret.last_used_at = one.string_or("lastUsedAt", {}, json::length(0, 64));
        object.status.secrets.push_back(std::move(secret));
    });
    object.status.token = status.string_or("token", {}, json::length(0, 4096));
    status.finish();
    return object;
}

}  // namespace

std::string encode(const Token& object, bool pretty) { return text_of(tree_of_token(object), pretty); }

std::string encode(const std::vector<Token>& objects, bool pretty) {
    return list_text_of(kKind, nullptr, objects, tree_of_token, pretty);
}

std::string encode(const List<Token>& list, bool pretty) {
    return list_text_of(kKind, &list.metadata, list.items, tree_of_token, pretty);
}

contract::Decoded<Token> decode_token(std::string_view body, std::string_view name) {
    return decode_document<Token>(body, kMaxBodyBytes, [&](json::ObjectReader& reader) {
        Token object;
        object.metadata = read_wish_head(reader, kKind, Scope::appliance, {{}, {}, name});
        object.spec = read_spec(reader);
        reader.ignore("status");
        return object;
    });
}

contract::Decoded<Token> read_token(std::string_view body) {
    return decode_document<Token>(body, kMaxBodyBytes, read_answer);
}

contract::Decoded<std::vector<Token>> read_token_list(std::string_view body) { return items_of(read_token_page(body)); }

contract::Decoded<List<Token>> read_token_page(std::string_view body) {
    return decode_list<Token>(body, kMaxListBytes, "TokenList", read_answer);
}

}  // namespace guideway::resources
