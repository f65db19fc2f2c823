#include "api/resources/maintenance_codec.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"

namespace guideway::resources {

namespace {

/// It stands in a line of a file, of tables and of the log.
bool is_one_line(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte >= 0x20 && byte != 0x7f;
    });
}

constexpr json::TextRule kReasonRule{0, kMaxReasonBytes, is_one_line, "one line without control characters"};

Maintenance read_wish(json::ObjectReader& reader) {
    Maintenance out;
    check_kind(reader, "Maintenance");
    out.on = reader.required_boolean("on");
    out.reason = reader.string_or("reason", {}, kReasonRule);
    for (const char* told : {"since", "withdrawn", "connections"}) reader.ignore(told);
    return out;
}

Maintenance read_answered(json::ObjectReader& reader) {
    Maintenance out;
    check_kind(reader, "Maintenance");
    out.on = reader.required_boolean("on");
    // A file may have been written by hand.
    out.reason = reader.string_or("reason", {}, json::length(0, 1U << 16));
    out.since = reader.string_or("since", {}, json::length(0, 64));
    out.withdrawn = reader.required_boolean("withdrawn");
    if (reader.has("connections")) out.connections = read_count(reader, "connections");
    return out;
}

}  // namespace

std::string encode(const Maintenance& maintenance, bool pretty) {
    nlohmann::ordered_json out = nlohmann::ordered_json::object();
    out["kind"] = "Maintenance";
    out["on"] = maintenance.on;
    out["reason"] = maintenance.reason;
    if (!maintenance.since.empty()) out["since"] = maintenance.since;
    out["withdrawn"] = maintenance.withdrawn;
    if (maintenance.connections) out["connections"] = *maintenance.connections;
    return text_of(out, pretty);
}

contract::Decoded<Maintenance> read_maintenance(std::string_view body) {
    return decode_document<Maintenance>(body, kMaxBodyBytes, read_answered);
}

contract::Decoded<Maintenance> decode_maintenance(std::string_view body) {
    return decode_document<Maintenance>(body, kMaxBodyBytes, read_wish);
}

}  // namespace guideway::resources
