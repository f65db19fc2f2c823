#include "controlplane/records.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "api/resources/load_balancer_codec.h"

namespace guideway::controlplane {
namespace {

using Json = nlohmann::json;
constexpr int kFormat = 1;

}  // namespace

std::string encode(const LoadBalancerRecord& record) {
    Json ports = Json::array();
    for (const resources::LoadBalancerPort& port : record.ports) {
        ports.push_back({{"name", port.name},
                         {"protocol", std::string(contract::to_string(port.protocol))},
                         {"port", port.port},
                         {"node_port", port.node_port}});
    }
    Json json{{"format", kFormat},
              {"object", Json::parse(resources::encode(record.object))},
              {"order", record.order},
              {"placed", record.placed},
              {"sharing_key", record.sharing_key},
              {"ports", std::move(ports)}};
    if (record.refusal) {
        json["refusal"] = {{"reason", std::string(ipam::to_string(record.refusal->reason))},
                           {"message", record.refusal->message}};
    }
    return json.dump();
}

std::variant<LoadBalancerRecord, std::string> decode_load_balancer_record(std::string_view text) {
    // The store's own words, so exceptions of the JSON library end here.
    try {
        const Json json = Json::parse(text);
        if (json.at("format") != kFormat) return "has format " + json.at("format").dump() + ", known is 1";
        auto object = resources::read_load_balancer(json.at("object").dump());
        if (!object.ok()) return object.faults[0].field + ": " + object.faults[0].message;
        LoadBalancerRecord record;
        record.object = std::move(*object.value);
        record.order = json.at("order");
        record.placed = json.at("placed");
        record.sharing_key = json.at("sharing_key");
        for (const Json& port : json.at("ports")) {
            const auto protocol = contract::parse_protocol(port.at("protocol").get<std::string>());
            if (!protocol) return "/ports: unknown protocol";
            record.ports.push_back({port.at("name"), *protocol, port.at("port"), port.at("node_port")});
        }
        if (json.contains("refusal")) {
            const Json& refusal = json["refusal"];
            const auto reason = ipam::parse_reason(refusal.at("reason").get<std::string>());
            if (!reason) return "/refusal/reason: unknown";
            record.refusal = ipam::Refusal{*reason, refusal.at("message")};
        }
        return record;
    } catch (const Json::exception& error) {
        return std::string(error.what());
    }
}

ipam::Wish wish_of(const resources::LoadBalancerSpec& spec) {
    using resources::IpFamilyPolicy;
    ipam::Wish wish;
    wish.policy = spec.ip_family_policy == IpFamilyPolicy::single_stack        ? ipam::FamilyPolicy::single
                  : spec.ip_family_policy == IpFamilyPolicy::prefer_dual_stack ? ipam::FamilyPolicy::prefer_dual
                                                                               : ipam::FamilyPolicy::require_dual;
    if (!spec.ip_families.empty()) {
        wish.primary = spec.ip_families.front();
    } else if (!spec.addresses.empty()) {
        wish.primary = spec.addresses.front().family;  // "give me 2001:db8::7" says the family too
    }
    wish.pool = spec.address_pool;
    wish.addresses = spec.addresses;
    std::sort(wish.addresses.begin(), wish.addresses.end());
    wish.claim = {spec.sharing_key, claims_of(spec.ports)};
    return wish;
}

ipam::ServiceKey key_of(const resources::LoadBalancer& object) {
    return {ipam::kDefaultCluster, object.metadata.namespace_, object.metadata.name};
}

std::vector<ipam::PortClaim> claims_of(const std::vector<resources::LoadBalancerPort>& ports) {
    std::vector<ipam::PortClaim> claims;
    for (const resources::LoadBalancerPort& port : ports) claims.push_back({port.protocol, port.port});
    std::sort(claims.begin(), claims.end());
    return claims;
}

ipam::Allocation allocation_of(const LoadBalancerRecord& record) {
    ipam::Allocation allocation;
    allocation.wish = wish_of(record.object.spec);
    allocation.order = record.order;
    for (const resources::Ingress& ingress : record.object.status.ingress) {
        allocation.holdings.push_back({ingress.ip, ingress.pool});
    }
    allocation.placed = record.placed;
    if (!allocation.holdings.empty()) allocation.claim = {record.sharing_key, claims_of(record.ports)};
    allocation.refusal = record.refusal;
    return allocation;
}

}  // namespace guideway::controlplane
