#include "api/cli/metallb/objects.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/cli/metallb/words.h"
#include "api/cli/yaml_text.h"
#include "api/json/object_reader.h"
#include "api/json/parse.h"
#include "api/resources/decode_limits.h"
#include "api/resources/names.h"
#include "api/resources/selector_codec.h"

namespace guideway::cli::metallb {

namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string_view>;

constexpr const char* kGroup = "metallb.io/";
constexpr json::TextRule kText{1, 253, nullptr, nullptr};
constexpr json::TextRule kNamespace{1, 63, resources::is_label, "the name of a namespace (RFC 1123 label)"};

/// A field that Guideway has nothing for, and why.
struct Uncarried {
    std::string_view field;
    const char* why;
};
constexpr std::array kUncarriedOfL2{
    Uncarried{
        "nodeSelectors",
        "the appliance announces, not the nodes; label a node node.kubernetes.io/exclude-from-external-load-balancers "
        "to keep traffic from it"},
    Uncarried{
        "interfaces",
        "these are interfaces of the nodes; the appliance answers at its own ports, those of dataplane.ports in its "
        "configuration"},
    Uncarried{"serviceSelectors", "the appliance answers for the addresses of all Services"},
};
/// Records of MetalLB's own making.
constexpr std::array<std::string_view, 4> kRecords{"ServiceL2Status", "ServiceBGPStatus", "ConfigurationState",
                                                   "ConfigurationStatus"};
constexpr std::array<std::string_view, 7> kKinds{"IPAddressPool", "AddressPool", "L2Advertisement", "BGPAdvertisement",
                                                 "BGPPeer",       "Community",   "BFDProfile"};
constexpr std::array<std::string_view, 3> kVersions{"v1alpha1", "v1beta1", "v1beta2"};

bool is_one_of(std::string_view text, const auto& list) {
    return std::find(list.begin(), list.end(), text) != list.end();
}

/// To Kubernetes a field that is null is not there.
void drop_nulls(Json& value) {
    if (value.is_object()) {
        for (auto member = value.begin(); member != value.end();) {
            if (member->is_null()) {
                member = value.erase(member);
            } else {
                drop_nulls(*member);
                ++member;
            }
        }
    } else if (value.is_array()) {
        for (Json& element : value) drop_nulls(element);
    }
}

std::string text_member(const Json& object, const char* key) {
    if (!object.is_object()) return {};
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// kubectl reads YAML 1.1, in which these are truth values.
void accept_old_booleans(Json& object, std::string_view key) {
    if (!object.is_object()) return;
    const auto found = object.find(std::string(key));
    if (found == object.end() || !found->is_string()) return;
    const auto& text = found->get_ref<const std::string&>();
    if (is_one_of(text, Words{"yes", "Yes", "YES", "on", "On", "ON"})) {
        *found = true;
    } else if (is_one_of(text, Words{"no", "No", "NO", "off", "Off", "OFF"})) {
        *found = false;
    }
}

std::string joined_fields(const Json& object, const std::string& pointer, const Words& without = {}) {
    std::string out;
    if (!object.is_object()) return pointer;
    for (const auto& [key, value] : object.items()) {
        if (is_one_of(key, without)) continue;
        out += (out.empty() ? "" : ", ") + pointer + "/" + json::pointer_token(key);
    }
    return out;
}

/// The names of the fields of a pool, which the ConfigMap spells in another way.
struct PoolWords {
    const char* auto_assign;
    const char* avoid_buggy_ips;
    const char* bgp_advertisements;
};
constexpr PoolWords kObjectWords{"autoAssign", "avoidBuggyIPs", "bgpAdvertisements"};
constexpr PoolWords kConfigMapWords{"auto-assign", "avoid-buggy-ips", "bgp-advertisements"};

class Reader {
  public:
    Reader(std::string source, Configuration& into) : source_(std::move(source)), into_(into) {}

    void add(const nlohmann::ordered_json& tree, const std::string& place) {
        Json object = tree;
        drop_nulls(object);
        add_object(std::move(object), place);
    }
    void error(const std::string& place, const std::string& message) {
        into_.errors.push_back(source_ + ": " + (place.empty() ? "" : place + ": ") + message);
    }

  private:
    void add_object(Json object, const std::string& place) {
        if (!object.is_object()) return error(place, "found no object with apiVersion, kind and metadata");
        const std::string kind = text_member(object, "kind");
        if (kind.ends_with("List") && object.contains("items") && object["items"].is_array()) {
            std::size_t number = 0;
            for (Json& item : object["items"]) {
                add_object(std::move(item), place + " item " + std::to_string(++number));
            }
            return;
        }
        if (kind.empty() && (object.contains("address-pools") || object.contains("peers"))) {
            return add_old_configuration(std::move(object), place, "", "MetalLB's configuration");
        }
        if (kind.empty()) return error(place, "/kind: missing, allowed IPAddressPool, L2Advertisement, ...");
        const std::string version = text_member(object, "apiVersion");
        if (version.empty()) {
            return error(
                place + " (" + kind + ")",
                std::string("/apiVersion: missing, allowed metallb.io/v1beta1") +
                    (kind == "AddressPool" ? " (without it this is one of Guideway's own: `guideway apply -f`)" : ""));
        }
        begin(object, kind, place);
        if (kind == "ConfigMap" && is_old_configuration(object)) return add_config_map(object, place);
        if (!version.starts_with(kGroup)) {
            report().lost = true;
            return report().add(Verdict::lost, "/kind", "this is no configuration of MetalLB's; nothing is made of it");
        }
        if (is_one_of(kind, kRecords)) {
            return report().add(Verdict::carried, "",
                                "a record that MetalLB writes itself; there is nothing to carry over");
        }
        if (!is_one_of(kind, kKinds)) {
            report().lost = true;
            return report().add(
                Verdict::lost, "/kind",
                "this kind is not known; look up what it does, and whether Guideway has something for it");
        }
        if (!is_one_of(std::string_view(version).substr(std::string_view(kGroup).size()), kVersions)) {
            report().add(Verdict::differs, "/apiVersion",
                         "\"" + version + "\" is not known; read as v1beta1 (BGPPeer: v1beta2)");
        }
        read_kind(kind, std::move(object), place);
    }

    /// Any ConfigMap may have a key of that name.
    static bool is_old_configuration(const Json& object) {
        const auto data = object.find("data");
        const std::string config = data == object.end() ? "" : text_member(*data, "config");
        return config.find("address-pools:") != std::string::npos || config.find("peers:") != std::string::npos;
    }

    void read_kind(const std::string& kind, Json object, const std::string& place) {
        std::vector<contract::Fault> faults;
        tell_unknown(object, "", {"apiVersion", "kind", "metadata", "spec", "status"});
        Json& spec = object["spec"];
        const bool of_pool = kind == "IPAddressPool" || kind == "AddressPool";
        if (of_pool) accept_booleans(spec, kObjectWords);
        json::ObjectReader reader(object, "", faults);
        json::ObjectReader metadata = reader.required_object("metadata");
        if (metadata.present()) metadata.required_string("name", kText);
        if (spec.is_null()) {
            // L2Advertisements without a spec are usual: they announce all pools.
            if (of_pool) faults.push_back({"/spec", "missing, allowed a pool's addresses"});
            spec = Json::object();
        }
        if (of_pool) {
            read_pool(kind, object, metadata, faults);
        } else if (kind == "L2Advertisement") {
            read_advertisement(object, false, faults);
            Words known{"ipAddressPools", "ipAddressPoolSelectors"};
            for (const Uncarried& one : kUncarriedOfL2) known.push_back(one.field);
            tell_unknown(spec, "/spec", known);
        } else {
            report().lost = true;
            report().add(Verdict::lost, joined_fields(spec, "/spec"), kBgpIsASetting);
            if (kind == "BGPAdvertisement") read_advertisement(object, true, faults);
        }
        tell(faults, place);
    }

    void read_pool(const std::string& kind, const Json& object, json::ObjectReader& metadata,
                   std::vector<contract::Fault>& faults) {
        tell_metadata(object);
        Pool pool;
        if (metadata.present()) {
            metadata.each_member("labels", {0, resources::kMaxLabels},
                                 {0, 63, resources::is_label_value, "a label's value"},
                                 [&](const std::string& key, const std::string& value) { pool.labels[key] = value; });
        }
        pool.name = report_name_;
        json::ObjectReader spec(object["spec"], "/spec", faults);
        read_pool_fields(spec, kObjectWords, pool);
        Words known{"addresses", kObjectWords.auto_assign, kObjectWords.avoid_buggy_ips};
        if (kind == "AddressPool") {
            known.insert(known.end(), {"protocol", kObjectWords.bgp_advertisements});
            pool.protocol = read_protocol(spec, "/spec");
            tell_bgp_advertisements(object["spec"], "/spec", kObjectWords);
        } else {
            known.push_back("serviceAllocation");
            if (json::ObjectReader part = spec.optional_object("serviceAllocation"); part.present()) {
                pool.service_allocation = read_allocation(part, object["spec"]["serviceAllocation"], faults);
            }
        }
        tell_unknown(object["spec"], "/spec", known);
        keep(std::move(pool));
    }

    static void accept_booleans(Json& spec, const PoolWords& words) {
        accept_old_booleans(spec, words.auto_assign);
        accept_old_booleans(spec, words.avoid_buggy_ips);
    }

    static void read_pool_fields(json::ObjectReader& spec, const PoolWords& words, Pool& pool) {
        pool.addresses = spec.strings("addresses", {1, resources::kMaxPoolAddresses}, json::length(1, 128));
        pool.addresses_field = spec.pointer() + "/addresses";
        pool.auto_assign = spec.boolean_or(words.auto_assign, true);
        pool.avoid_buggy_ips = spec.boolean_or(words.avoid_buggy_ips, false);
    }

    std::string read_protocol(json::ObjectReader& spec, const std::string& pointer) {
        std::string protocol = spec.string_or("protocol", "", kText);
        if (!protocol.empty() && protocol != "layer2" && protocol != "bgp") {
            report().add(Verdict::lost, pointer + "/protocol",
                         "\"" + protocol + "\" is not known; the appliance answers ARP and neighbour discovery");
        }
        return protocol;
    }

    void tell_bgp_advertisements(const Json& spec, const std::string& pointer, const PoolWords& words) {
        if (spec.is_object() && spec.contains(words.bgp_advertisements)) {
            report().add(Verdict::lost, pointer + "/" + words.bgp_advertisements, kBgpIsASetting);
        }
    }

    resources::ServiceAllocation read_allocation(json::ObjectReader& part, const Json& object,
                                                 std::vector<contract::Fault>& faults) {
        resources::ServiceAllocation out;
        out.namespaces = part.strings("namespaces", {0, resources::kMaxNames}, kNamespace);
        out.namespace_selectors = resources::read_selectors(part, "namespaceSelectors");
        out.service_selectors = resources::read_selectors(part, "serviceSelectors");
        out.priority = read_priority(part, object, faults);
        tell_unknown(object, part.pointer(), {"priority", "namespaces", "namespaceSelectors", "serviceSelectors"});
        if (out.namespaces.empty() && !out.namespace_selectors.empty()) {
            report().add(Verdict::differs, part.pointer() + "/namespaceSelectors",
                         "while no namespace matches, the pool admits nobody; MetalLB would admit everybody");
        }
        return out;
    }

    std::uint32_t read_priority(json::ObjectReader& part, const Json& object, std::vector<contract::Fault>& faults) {
        constexpr auto kMost = std::numeric_limits<std::uint32_t>::max();
        if (!part.has("priority")) return 0;
        const Json& value = object["priority"];
        const std::string field = part.pointer() + "/priority";
        if (!value.is_number_integer()) {
            faults.push_back({field, "found " +
                                         value.dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 100) +
                                         ", allowed a whole number"});
            return 0;
        }
        if (!value.is_number_unsigned() && value.get<std::int64_t>() < 0) {
            report().add(Verdict::differs, field,
                         value.dump() + " is below 0, which Guideway does not have; written as 0: after all others");
            return 0;
        }
        if (value.get<std::uint64_t>() > kMost) {
            report().add(Verdict::differs, field,
                         value.dump() + " is above the highest; written as " + std::to_string(kMost));
            return kMost;
        }
        return value.get<std::uint32_t>();
    }

    void read_advertisement(const Json& object, bool bgp, std::vector<contract::Fault>& faults) {
        Advertisement out;
        out.report = into_.reports.size() - 1;
        out.bgp = bgp;
        const Json& fields = object["spec"];
        json::ObjectReader spec(fields, "/spec", faults);
        out.pools = spec.strings("ipAddressPools", {0, resources::kMaxNames}, kText);
        out.selectors = resources::read_selectors(spec, "ipAddressPoolSelectors");
        if (!bgp && fields.is_object()) {
            for (const Uncarried& one : kUncarriedOfL2) {
                if (fields.contains(std::string(one.field))) {
                    report().add(Verdict::lost, "/spec/" + std::string(one.field), one.why);
                }
            }
        }
        into_.advertisements.push_back(std::move(out));
    }

    void add_config_map(const Json& object, const std::string& place) {
        // Its parts have reports of their own.
        const std::string title = report().title;
        into_.reports.pop_back();
        const Json& data = object["data"];
        for (const auto& [key, value] : data.items()) {
            if (key == "config") continue;
            begin_part(title, place);
            report().lost = true;
            report().add(Verdict::lost, "/data/" + json::pointer_token(key), "MetalLB reads the key config alone");
        }
        // Not of the file, but within it: a document number there would mislead.
        read_trees(
            data["config"].get_ref<const std::string&>(),
            [&](const std::string&, const nlohmann::ordered_json& tree) {
                Json inner = tree;
                drop_nulls(inner);
                if (!inner.is_object())
                    return error(place + " (" + title + ")", "/data/config: found no address-pools");
                add_old_configuration(std::move(inner), place, "/data/config", title);
            },
            [&](const std::string& where, const std::string& message) {
                error(place + " (" + title + ")", "/data/config: " + (where.empty() ? "" : where + ": ") + message);
            });
    }

    /// What the ConfigMap holds.
    void add_old_configuration(Json object, const std::string& place, const std::string& pointer,
                               const std::string& title) {
        for (auto& [key, value] : object.items()) {
            const std::string field = pointer + "/" + json::pointer_token(key);
            if (key == "address-pools") {
                if (!value.is_array()) {
                    error(place + " (" + title + ")", field + ": found no list, allowed a list of pools");
                    continue;
                }
                for (std::size_t i = 0; i < value.size(); ++i) {
                    add_old_pool(value[i], place, field + "/" + std::to_string(i), title);
                }
                continue;
            }
            begin_part(title, place);
            report().lost = true;
            const bool bgp = is_one_of(key, Words{"peers", "bgp-communities", "bfd-profiles", "peer-autodiscovery"});
            report().add(Verdict::lost, field, bgp ? kBgpIsASetting : kUnknownField);
        }
    }

    void add_old_pool(Json& object, const std::string& place, const std::string& pointer, const std::string& title) {
        std::vector<contract::Fault> faults;
        accept_booleans(object, kConfigMapWords);
        begin_part("pool " + text_member(object, "name") + " of " + title, place);
        json::ObjectReader reader(object, pointer, faults);
        Pool pool;
        pool.name = reader.required_string("name", kText);
        read_pool_fields(reader, kConfigMapWords, pool);
        pool.protocol = read_protocol(reader, pointer);
        tell_bgp_advertisements(object, pointer, kConfigMapWords);
        tell_unknown(object, pointer,
                     {"name", "protocol", "addresses", kConfigMapWords.auto_assign, kConfigMapWords.avoid_buggy_ips,
                      kConfigMapWords.bgp_advertisements});
        keep(std::move(pool));
        tell(faults, place);
    }

    void begin(const Json& object, const std::string& kind, const std::string& place) {
        const Json metadata = object.contains("metadata") ? object["metadata"] : Json();
        const std::string ns = text_member(metadata, "namespace");
        report_name_ = text_member(metadata, "name");
        begin_part(kind + " " + (ns.empty() ? "" : ns + "/") + report_name_, place);
    }
    void begin_part(const std::string& title, const std::string& place) {
        ObjectReport report;
        report.title = title;
        report.origin = source_ + ": " + place;
        into_.reports.push_back(std::move(report));
    }
    ObjectReport& report() { return into_.reports.back(); }

    void keep(Pool pool) {
        pool.report = into_.reports.size() - 1;
        into_.pools.push_back(std::move(pool));
    }

    void tell_unknown(const Json& object, const std::string& pointer, const Words& known) {
        const std::string fields = object.is_object() ? joined_fields(object, pointer, known) : "";
        if (!fields.empty()) report().add(Verdict::lost, fields, kUnknownField);
    }

    /// What the API server keeps is the cluster's; what people wrote there is told.
    void tell_metadata(const Json& object) {
        if (!object.contains("metadata") || !object["metadata"].is_object()) return;
        const Json& metadata = object["metadata"];
        const Words of_cluster{"name",        "namespace",       "labels",   "annotations",       "uid",
                               "generation",  "resourceVersion", "selfLink", "creationTimestamp", "managedFields",
                               "generateName"};
        if (const std::string fields = joined_fields(metadata, "/metadata", of_cluster); !fields.empty()) {
            report().add(Verdict::lost, fields, "these are of the object in the cluster alone");
        }
        const auto annotations = metadata.find("annotations");
        if (annotations == metadata.end() || !annotations->is_object()) return;
        const Words of_kubectl{"kubectl.kubernetes.io/last-applied-configuration"};
        if (const std::string fields = joined_fields(*annotations, "/metadata/annotations", of_kubectl);
            !fields.empty()) {
            report().add(Verdict::lost, fields, "Guideway's objects have labels, but no annotations");
        }
    }

    void tell(const std::vector<contract::Fault>& faults, const std::string& place) {
        for (const contract::Fault& fault : faults) {
            error(place + " (" + report().title + ")", fault.field + ": " + fault.message);
        }
    }

    std::string source_;
    Configuration& into_;
    std::string report_name_;
};

}  // namespace

void read_configuration(std::string_view text, const std::string& source, Configuration& into) {
    Reader reader(source, into);
    const std::size_t objects = into.reports.size(), errors = into.errors.size();
    read_trees(
        text, [&](const std::string& place, const nlohmann::ordered_json& tree) { reader.add(tree, place); },
        [&](const std::string& place, const std::string& message) { reader.error(place, message); });
    if (into.reports.size() == objects && into.errors.size() == errors) {
        reader.error("", "found no object of MetalLB's");
    }
}

}  // namespace guideway::cli::metallb
