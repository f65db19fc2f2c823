#include "controlplane/records.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "api/resources/load_balancer_codec.h"

namespace guideway::controlplane {
namespace {

using Json = nlohmann::json;
constexpr int kFormat = 1;
constexpr std::string_view kObjectMember = ",\"object\":";

}  // namespace

std::string encode(const LoadBalancerRecord& record) {
    Json ports = Json::array();
    for (const resources::LoadBalancerPort& port : record.ports) {
        ports.push_back({{"name", port.name},
                         {"protocol", std::string(contract::to_string(port.protocol))},
                         {"port", port.port},
                         {"node_port", port.node_port}});
    }
    Json head{{"format", kFormat},
              {"order", record.order},
              {"placed", record.placed},
              {"sharing_key", record.sharing_key},
              {"ports", std::move(ports)}};
    if (record.refusal) {
        head["refusal"] = {{"reason", std::string(ipam::to_string(record.refusal->reason))},
                           {"message", record.refusal->message}};
    }
    // The object last, as it is encoded anyway: a commit of many would otherwise spend its time on parsing it again.
    std::string text = head.dump();
    text.pop_back();
    return text.append(kObjectMember) + resources::encode(record.object) + "}";
}

std::variant<LoadBalancerRecord, std::string> decode_load_balancer_record(std::string_view text) {
    // The store's own words, so exceptions of the JSON library end here.
    try {
        // As encode() writes it, the object need not be parsed twice; otherwise (earlier versions) it is.
        Json json;
        std::string object_text;
        const std::size_t at = text.find(kObjectMember);
        if (at != std::string_view::npos && text.starts_with("{\"format\"") && text.ends_with('}')) {
            json = Json::parse(std::string(text.substr(0, at)) + "}", nullptr, false);
            object_text = text.substr(at + kObjectMember.size(), text.size() - at - kObjectMember.size() - 1);
        }
        if (!json.is_object() || !json.contains("order")) {
            json = Json::parse(text);
            object_text = json.at("object").dump();
        }
        if (json.at("format") != kFormat) return "has format " + json.at("format").dump() + ", known is 1";
        auto object = resources::read_load_balancer(object_text);
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

std::string encode(const ipam::Quarantined& quarantined) {
    return Json{{"freed_at", quarantined.freed_at}, {"former", quarantined.former.to_string()}}.dump();
}

std::variant<ipam::Quarantined, std::string> decode_quarantined(std::string_view address, std::string_view text) {
    const auto parsed = IpAddress::parse(address);
    if (!parsed) return "its key is no IP address";
    try {
        const Json json = Json::parse(text);
        const auto former = ipam::ServiceKey::parse(json.at("former").get<std::string>());
        if (!former) return "/former: found no \"namespace/name\"";
        return ipam::Quarantined{*parsed, json.at("freed_at"), *former};
    } catch (const Json::exception& error) {
        return std::string(error.what());
    }
}

ipam::Wish wish_of(const resources::LoadBalancer& object) {
    using resources::IpFamilyPolicy;
    const resources::LoadBalancerSpec& spec = object.spec;
    ipam::Wish wish;
    wish.policy = spec.ip_family_policy == IpFamilyPolicy::single_stack        ? ipam::FamilyPolicy::single
                  : spec.ip_family_policy == IpFamilyPolicy::prefer_dual_stack ? ipam::FamilyPolicy::prefer_dual
                                                                               : ipam::FamilyPolicy::require_dual;
    if (!spec.ip_families.empty()) {
        wish.primary = spec.ip_families.front();
    } else if (!spec.addresses.empty()) {
        wish.primary = spec.addresses.front().family;  // "give me 2001:db8::7" says the family too
    } else if (spec.load_balancer_ip) {
        wish.primary = spec.load_balancer_ip->family;
    }
    wish.cluster_ips = spec.cluster_ips;
    wish.pool = spec.address_pool;
    // The Service's own field is one way of asking, our list the other (rule 9).
    if (spec.load_balancer_ip) wish.addresses = {*spec.load_balancer_ip};
    wish.annotation_addresses = spec.addresses;
    if (!spec.load_balancer_ip) std::swap(wish.addresses, wish.annotation_addresses);
    std::sort(wish.addresses.begin(), wish.addresses.end());
    wish.claim = {spec.sharing_key, claims_of(spec.ports)};
    wish.service_labels = object.metadata.labels;
    wish.namespace_labels = spec.namespace_labels;
    return wish;
}

namespace {

ipam::LabelSelector selector_of(const resources::LabelSelector& from) {
    ipam::LabelSelector selector;
    selector.match_labels = from.match_labels;
    for (const resources::SelectorRequirement& one : from.match_expressions) {
        const auto operation = [&] {
            switch (one.op) {
                case resources::SelectorOperator::in:
                    return ipam::LabelOperator::in;
                case resources::SelectorOperator::not_in:
                    return ipam::LabelOperator::not_in;
                case resources::SelectorOperator::exists:
                    return ipam::LabelOperator::exists;
                case resources::SelectorOperator::does_not_exist:
                    break;
            }
            return ipam::LabelOperator::does_not_exist;
        }();
        selector.match_expressions.push_back({one.key, operation, one.values});
    }
    return selector;
}

}  // namespace

ipam::PoolDefinition definition_of(const std::string& name, const resources::AddressPoolSpec& spec) {
    ipam::PoolDefinition definition;
    definition.name = name;
    definition.addresses = spec.addresses;
    definition.auto_assign = spec.auto_assign;
    definition.avoid_buggy_ips = spec.avoid_buggy_ips;
    definition.share_across_namespaces = spec.share_across_namespaces;
    definition.quarantine_seconds = spec.quarantine_seconds;
    if (spec.service_allocation) {
        const resources::ServiceAllocation& from = *spec.service_allocation;
        ipam::ServiceAllocation allocation;
        allocation.priority = from.priority;
        allocation.namespaces = from.namespaces;
        allocation.clusters = from.clusters;
        for (const auto& one : from.namespace_selectors) allocation.namespace_selectors.push_back(selector_of(one));
        for (const auto& one : from.service_selectors) allocation.service_selectors.push_back(selector_of(one));
        definition.service_allocation = std::move(allocation);
    }
    return definition;
}

NodeKey key_of(const resources::Node& object) { return {object.metadata.cluster, object.metadata.name}; }

ipam::ServiceKey key_of(const resources::LoadBalancer& object) {
    return {object.metadata.cluster, object.metadata.namespace_, object.metadata.name};
}

std::vector<ipam::PortClaim> claims_of(const std::vector<resources::LoadBalancerPort>& ports) {
    std::vector<ipam::PortClaim> claims;
    for (const resources::LoadBalancerPort& port : ports) claims.push_back({port.protocol, port.port});
    std::sort(claims.begin(), claims.end());
    return claims;
}

ipam::Allocation allocation_of(const LoadBalancerRecord& record) {
    ipam::Allocation allocation;
    allocation.wish = wish_of(record.object);
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
