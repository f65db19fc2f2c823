#include "api/resources/snat_address_codec.h"

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"

namespace guideway::resources {

namespace {

constexpr std::string_view kKind = "SnatAddress";

nlohmann::ordered_json tree_of_address(const SnatAddress& object) {
    auto out = nlohmann::ordered_json::object();
    out["kind"] = std::string(kKind);
    out["address"] = object.address.to_string();
    out["family"] = std::string(to_string(object.address.family));
    return out;
}

SnatAddress read_answer(json::ObjectReader& reader) {
    SnatAddress object;
    check_kind(reader, kKind);
    object.address = reader.required_value<IpAddress>("address", IpAddress::parse, "an IPv4 or IPv6 address");
    reader.ignore("family");
    return object;
}

}  // namespace

std::string encode(const std::vector<SnatAddress>& objects, bool pretty) {
    return list_text_of(kKind, nullptr, objects, tree_of_address, pretty);
}

contract::Decoded<std::vector<SnatAddress>> read_snat_address_list(std::string_view body) {
    return items_of(decode_list<SnatAddress>(body, kMaxListBytes, "SnatAddressList", read_answer));
}

}  // namespace guideway::resources
