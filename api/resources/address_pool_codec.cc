#include "api/resources/address_pool_codec.h"

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"

namespace guideway::resources {

namespace {

constexpr std::string_view kKind = "AddressPool";
/// AddressPoolStatus: counts saturate here.
constexpr std::uint64_t kMaxCount = (std::uint64_t{1} << 53) - 1;

nlohmann::ordered_json counts(std::uint64_t total, std::uint64_t allocated) {
    nlohmann::ordered_json out = nlohmann::ordered_json::object();
    out["total"] = total;
    out["allocated"] = allocated;
    out["free"] = total > allocated ? total - allocated : 0;
    return out;
}

nlohmann::ordered_json tree_of(const AddressPool& object) {
    auto out = head_of(kKind, object.metadata);
    auto& spec = out["spec"] = nlohmann::ordered_json::object();
    spec["addresses"] = object.spec.addresses;
    spec["autoAssign"] = object.spec.auto_assign;
    spec["avoidBuggyIPs"] = object.spec.avoid_buggy_ips;
    auto& status = out["status"] = nlohmann::ordered_json::object();
    status["ipv4"] = counts(object.status.ipv4_total, object.status.ipv4_allocated);
    status["ipv6"] = counts(object.status.ipv6_total, object.status.ipv6_allocated);
    return out;
}

AddressPoolSpec read_spec(json::ObjectReader& reader) {
    AddressPoolSpec spec;
    json::ObjectReader part = reader.required_object("spec");
    spec.addresses = part.strings("addresses", {1, kMaxPoolAddresses}, json::length(1, 128));
    spec.auto_assign = part.boolean_or("autoAssign", true);
    spec.avoid_buggy_ips = part.boolean_or("avoidBuggyIPs", false);
    part.finish();
    return spec;
}

void read_counts(json::ObjectReader& status, std::string_view key, std::uint64_t& total, std::uint64_t& allocated) {
    json::ObjectReader part = status.optional_object(key);
    total = part.unsigned_or("total", 0, 0, kMaxCount);
    allocated = part.unsigned_or("allocated", 0, 0, kMaxCount);
    part.ignore("free");
    part.finish();
}

AddressPool read_answer(json::ObjectReader& reader) {
    AddressPool object;
    object.metadata = read_answer_head(reader, kKind, false);
    object.spec = read_spec(reader);
    json::ObjectReader status = reader.optional_object("status");
    read_counts(status, "ipv4", object.status.ipv4_total, object.status.ipv4_allocated);
    read_counts(status, "ipv6", object.status.ipv6_total, object.status.ipv6_allocated);
    status.finish();
    return object;
}

}  // namespace

std::string encode(const AddressPool& object, bool pretty) { return text_of(tree_of(object), pretty); }

std::string encode(const std::vector<AddressPool>& objects, bool pretty) {
    auto items = nlohmann::ordered_json::array();
    for (const AddressPool& object : objects) items.push_back(tree_of(object));
    return list_text_of(kKind, std::move(items), pretty);
}

contract::Decoded<AddressPool> decode_address_pool(std::string_view body, std::string_view name) {
    return decode_document<AddressPool>(body, kMaxBodyBytes, [&](json::ObjectReader& reader) {
        AddressPool object;
        object.metadata = read_wish_head(reader, kKind, {{}, name});
        object.spec = read_spec(reader);
        reader.ignore("status");
        return object;
    });
}

contract::Decoded<AddressPool> read_address_pool(std::string_view body) {
    return decode_document<AddressPool>(body, kMaxBodyBytes, read_answer);
}

contract::Decoded<std::vector<AddressPool>> read_address_pool_list(std::string_view body) {
    return decode_list<AddressPool>(body, kMaxListBytes, "AddressPoolList", read_answer);
}

}  // namespace guideway::resources
