#include "api/resources/address_pool_codec.h"

#include <algorithm>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/contract/forwarding_state_codec.h"
#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"
#include "api/resources/names.h"
#include "api/resources/selector_codec.h"

namespace guideway::resources {

namespace {

constexpr std::string_view kKind = "AddressPool";
/// AddressPoolStatus: counts saturate here.
constexpr std::uint64_t kMaxCount = (std::uint64_t{1} << 53) - 1;

using Tree = nlohmann::ordered_json;

Tree tree_of(const PoolFamilyUse& use) {
    Tree out = Tree::object();
    out["total"] = use.total;
    out["allocated"] = use.allocated;
    out["shared"] = use.shared;
    out["quarantined"] = use.quarantined;
    out["free"] = use.free;
    return out;
}

Tree tree_of(const std::vector<LabelSelector>& selectors) {
    Tree out = Tree::array();
    for (const LabelSelector& selector : selectors) out.push_back(tree_of(selector));
    return out;
}

Tree tree_of(const ServiceAllocation& allocation) {
    Tree out = Tree::object();
    out["priority"] = allocation.priority;
    if (!allocation.clusters.empty()) out["clusters"] = allocation.clusters;
    if (!allocation.namespaces.empty()) out["namespaces"] = allocation.namespaces;
    if (!allocation.namespace_selectors.empty()) out["namespaceSelectors"] = tree_of(allocation.namespace_selectors);
    if (!allocation.service_selectors.empty()) out["serviceSelectors"] = tree_of(allocation.service_selectors);
    return out;
}

Tree tree_of_pool(const AddressPool& object) {
    Tree out = head_of(kKind, Scope::appliance, object.metadata);
    Tree& spec = out["spec"] = Tree::object();
    spec["addresses"] = object.spec.addresses;
    spec["autoAssign"] = object.spec.auto_assign;
    spec["avoidBuggyIPs"] = object.spec.avoid_buggy_ips;
    spec["shareAcrossNamespaces"] = object.spec.share_across_namespaces;
    spec["quarantineSeconds"] = object.spec.quarantine_seconds;
    if (object.spec.silent) spec["silent"] = true;
    if (!object.spec.ports.empty()) spec["ports"] = object.spec.ports;
    if (object.spec.service_allocation) spec["serviceAllocation"] = tree_of(*object.spec.service_allocation);
    Tree& status = out["status"] = Tree::object();
    status["observedGeneration"] = object.status.observed_generation;
    status["ipv4"] = tree_of(object.status.ipv4);
    status["ipv6"] = tree_of(object.status.ipv6);
    status["loadBalancers"] = object.status.load_balancers;
    if (object.status.users.empty()) return out;
    Tree& users = status["users"] = Tree::array();
    for (const PoolUser& user : object.status.users) {
        Tree& one = users.emplace_back(Tree::object());
        one["cluster"] = user.cluster;
        one["namespace"] = user.namespace_;
        one["name"] = user.name;
        Tree& addresses = one["addresses"] = Tree::array();
        for (const IpAddress& address : user.addresses) addresses.push_back(address.to_string());
    }
    return out;
}

ServiceAllocation read_allocation(json::ObjectReader& part) {
    constexpr json::TextRule kLabel{1, 63, is_label, "lower-case letters, digits and '-' (RFC 1123 label)"};
    ServiceAllocation out;
    out.priority = part.integer_or<std::uint32_t>("priority", 0, 0, std::numeric_limits<std::uint32_t>::max());
    out.clusters = part.strings("clusters", {0, kMaxNames}, kLabel);
    out.namespaces = part.strings("namespaces", {0, kMaxNames}, kLabel);
    out.namespace_selectors = read_selectors(part, "namespaceSelectors");
    out.service_selectors = read_selectors(part, "serviceSelectors");
    part.finish();
    return out;
}

/// As the dataplane's configuration has them.
bool is_port_name(std::string_view text) {
    const auto good = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
               c == '.';
    };
    return std::all_of(text.begin(), text.end(), good) && text.front() != '-' && text.front() != '_' &&
           text.front() != '.';
}

constexpr json::TextRule kPortName{1, 12, is_port_name,
                                   "letters, digits, '-', '_' or '.', the first a letter or digit"};

AddressPoolSpec read_spec(json::ObjectReader& reader) {
    AddressPoolSpec spec;
    json::ObjectReader part = reader.required_object("spec");
    spec.addresses = part.strings("addresses", {1, kMaxPoolAddresses}, json::length(1, 128));
    spec.auto_assign = part.boolean_or("autoAssign", true);
    spec.avoid_buggy_ips = part.boolean_or("avoidBuggyIPs", false);
    spec.share_across_namespaces = part.boolean_or("shareAcrossNamespaces", false);
    spec.quarantine_seconds = part.integer_or<std::uint32_t>("quarantineSeconds", 0, 0, kMaxQuarantine);
    spec.silent = part.boolean_or("silent", false);
    spec.ports = part.strings("ports", {0, contract::kMaxPortsOfVip}, kPortName);
    for (std::size_t i = 1; i < spec.ports.size(); ++i) {
        if (std::find(spec.ports.begin(), spec.ports.begin() + static_cast<std::ptrdiff_t>(i), spec.ports[i]) !=
            spec.ports.begin() + static_cast<std::ptrdiff_t>(i))
            part.fault("ports", "found \"" + spec.ports[i] + "\" twice, allowed once");
    }
    if (json::ObjectReader allocation = part.optional_object("serviceAllocation"); allocation.present()) {
        spec.service_allocation = read_allocation(allocation);
    }
    part.finish();
    return spec;
}

PoolFamilyUse read_use(json::ObjectReader& status, std::string_view key) {
    PoolFamilyUse use;
    json::ObjectReader part = status.optional_object(key);
    use.total = part.unsigned_or("total", 0, 0, kMaxCount);
    use.allocated = part.unsigned_or("allocated", 0, 0, kMaxCount);
    use.shared = part.unsigned_or("shared", 0, 0, kMaxCount);
    use.quarantined = part.unsigned_or("quarantined", 0, 0, kMaxCount);
    use.free = part.unsigned_or("free", 0, 0, kMaxCount);
    part.finish();
    return use;
}

AddressPoolStatus read_status_part(json::ObjectReader& reader) {
    AddressPoolStatus out;
    json::ObjectReader status = reader.optional_object("status");
    out.observed_generation = read_count(status, "observedGeneration");
    out.ipv4 = read_use(status, "ipv4");
    out.ipv6 = read_use(status, "ipv6");
    out.load_balancers = read_count(status, "loadBalancers");
    status.each_object("users", {0, AddressPoolStatus::kMostUsers}, [&](json::ObjectReader& one) {
        PoolUser user;
        user.cluster = one.required_string("cluster", json::length(1, 253));
        user.namespace_ = one.required_string("namespace", json::length(1, 253));
        user.name = one.required_string("name", json::length(1, 253));
        user.addresses = one.values<IpAddress>("addresses", {0, 2}, IpAddress::parse, "an IPv4 or IPv6 address");
        out.users.push_back(std::move(user));
    });
    status.finish();
    return out;
}

AddressPool read_answer(json::ObjectReader& reader) {
    AddressPool object;
    object.metadata = read_answer_head(reader, kKind, Scope::appliance);
    object.spec = read_spec(reader);
    object.status = read_status_part(reader);
    return object;
}

}  // namespace

std::string encode(const AddressPool& object, bool pretty) { return text_of(tree_of_pool(object), pretty); }

std::string encode(const std::vector<AddressPool>& objects, bool pretty) {
    return list_text_of(kKind, nullptr, objects, tree_of_pool, pretty);
}

std::string encode(const List<AddressPool>& list, bool pretty) {
    return list_text_of(kKind, &list.metadata, list.items, tree_of_pool, pretty);
}

contract::Decoded<AddressPool> decode_address_pool(std::string_view body, std::string_view name) {
    return decode_document<AddressPool>(body, kMaxBodyBytes, [&](json::ObjectReader& reader) {
        AddressPool object;
        object.metadata = read_wish_head(reader, kKind, Scope::appliance, {{}, {}, name});
        object.spec = read_spec(reader);
        reader.ignore("status");
        return object;
    });
}

contract::Decoded<AddressPool> read_address_pool(std::string_view body) {
    return decode_document<AddressPool>(body, kMaxBodyBytes, read_answer);
}

contract::Decoded<std::vector<AddressPool>> read_address_pool_list(std::string_view body) {
    return items_of(read_address_pool_page(body));
}

contract::Decoded<List<AddressPool>> read_address_pool_page(std::string_view body) {
    return decode_list<AddressPool>(body, kMaxListBytes, "AddressPoolList", read_answer);
}

}  // namespace guideway::resources
