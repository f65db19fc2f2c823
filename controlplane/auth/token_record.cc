// The stored form of a token:
//   {"format":1,"name":"ci","role":"controller","cluster":"prod","expires":1790000000,"uid":"","labels":{},
//    "resource_version":7,"generation":1,"created":"2026-01-02T03:04:05Z",
//    "secrets":[{"id":"0123456789ab","sha256":"<64 digits>","created":1780000000,"last_used":1780000060}]}
// Times are Unix seconds; "cluster", "expires" and "last_used" are left out where there is none.
#include <charconv>

#include <nlohmann/json.hpp>

#include "api/json/object_reader.h"
#include "api/json/parse.h"
#include "api/resources/names.h"
#include "controlplane/auth/token_book.h"

namespace guideway::controlplane::auth {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kFormat = 1;
constexpr std::uint64_t kLastSecond = 253'402'300'799;  ///< of the year 9999

bool is_lower_hex(std::string_view text) {
    return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::uint64_t unix_seconds_of(Time time) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
}

Time time_of(std::uint64_t seconds) { return Time(std::chrono::seconds(seconds)); }

std::optional<Sha256> parse_hash(std::string_view text) {
    Sha256 hash;
    if (text.size() != 2 * hash.size() || !is_lower_hex(text)) return std::nullopt;
    for (std::size_t i = 0; i < hash.size(); ++i) {
        std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, hash[i], 16);
    }
    return hash;
}

std::string text_of(const Sha256& hash) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : hash) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 0xf];
    }
    return text;
}

std::optional<Time> optional_time(json::ObjectReader& reader, std::string_view key) {
    if (!reader.has(key)) return std::nullopt;
    return time_of(reader.required_unsigned(key, 0, kLastSecond));
}

TokenRecord read(json::ObjectReader& reader) {
    constexpr json::TextRule kName{1, 253, resources::is_name, "an RFC 1123 name"};
    constexpr json::TextRule kCluster{0, 63, nullptr, nullptr};
    constexpr json::TextRule kId{12, 12, is_lower_hex, "12 hexadecimal digits"};
    TokenRecord record;
    reader.required_unsigned("format", kFormat, kFormat);
    record.metadata.name = reader.required_string("name", kName);
    record.metadata.uid = reader.string_or("uid", {}, json::length(0, 128));
    reader.each_member(
        "labels", {0, 1024}, json::length(0, 63),
        [&](const std::string& name, const std::string& value) { record.metadata.labels[name] = value; });
    record.metadata.resource_version =
        reader.required_unsigned("resource_version", 0, std::numeric_limits<std::uint64_t>::max());
    record.metadata.generation = reader.required_unsigned("generation", 0, std::numeric_limits<std::uint64_t>::max());
    record.metadata.creation_timestamp = reader.string_or("created", {}, json::length(0, 40));
    record.spec.role =
        reader.required_value<rest::Role>("role", rest::parse_role, "viewer, controller, admin", rest::Role::viewer);
    record.spec.cluster = reader.string_or("cluster", {}, kCluster);
    record.spec.expires_at = optional_time(reader, "expires");
    reader.each_object("secrets", {0, kMaxSecrets}, [&](json::ObjectReader& one) {
        TokenSecret secret;
        secret.id = one.required_string("id", kId);
        secret.hash = one.required_value<Sha256>("sha256", parse_hash, "64 hexadecimal digits");
        secret.created = time_of(one.required_unsigned("created", 0, kLastSecond));
        secret.last_used = optional_time(one, "last_used");
        record.secrets.push_back(std::move(secret));
    });
    if (const std::string fault = fault_of(record.spec); !fault.empty()) reader.fault("cluster", fault);
    return record;
}

}  // namespace

std::string encode(const TokenRecord& record) {
    Json json;
    json["format"] = kFormat;
    json["name"] = record.metadata.name;
    json["role"] = std::string(rest::to_string(record.spec.role));
    if (!record.spec.cluster.empty()) json["cluster"] = record.spec.cluster;
    if (record.spec.expires_at) json["expires"] = unix_seconds_of(*record.spec.expires_at);
    json["uid"] = record.metadata.uid;
    json["labels"] = record.metadata.labels;
    json["resource_version"] = record.metadata.resource_version;
    json["generation"] = record.metadata.generation;
    json["created"] = record.metadata.creation_timestamp;
    Json& secrets = json["secrets"] = Json::array();
    for (const TokenSecret& secret : record.secrets) {
        Json& one = secrets.emplace_back(Json::object());
        one["id"] = secret.id;
        one["sha256"] = text_of(secret.hash);
        one["created"] = unix_seconds_of(secret.created);
        if (secret.last_used) one["last_used"] = unix_seconds_of(*secret.last_used);
    }
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

contract::Decoded<TokenRecord> decode_token(std::string_view document) {
    contract::Decoded<TokenRecord> result;
    const contract::Decoded<nlohmann::json> parsed = json::parse_strict(document);
    if (!parsed.ok()) {
        result.faults = parsed.faults;
        return result;
    }
    json::ObjectReader reader(*parsed.value, "", result.faults);
    TokenRecord record = read(reader);
    reader.finish();
    if (result.faults.empty()) result.value = std::move(record);
    return result;
}

}  // namespace guideway::controlplane::auth
