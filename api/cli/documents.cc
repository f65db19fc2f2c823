#include "api/cli/documents.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "api/cli/yaml_text.h"
#include "api/resources/address_pool_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"

namespace guideway::cli {

namespace {

using Tree = nlohmann::ordered_json;

std::string text_member(const Tree& tree, const char* key) {
    if (!tree.is_object()) return {};
    const auto found = tree.find(key);
    return found != tree.end() && found->is_string() ? found->get<std::string>() : std::string();
}

class Collector {
  public:
    Collector(std::string source, DefaultPlace place) : source_(std::move(source)), place_(std::move(place)) {}

    void add(const Tree& tree, std::string place) {
        const std::string kind = text_member(tree, "kind");
        if (kind.ends_with("List") && tree.contains("items") && tree["items"].is_array()) {
            std::size_t number = 0;
            for (const Tree& item : tree["items"]) add(item, place + " item " + std::to_string(++number));
            return;
        }
        const Tree metadata = tree.is_object() && tree.contains("metadata") ? tree["metadata"] : Tree();
        const std::string name = text_member(metadata, "name");
        if (!kind.empty()) place += " (" + kind + (name.empty() ? "" : " " + name) + ")";
        if (!tree.is_object()) return error(place, "found no object with kind, metadata and spec");
        if (kind != "LoadBalancer" && kind != "AddressPool" && kind != "Node") {
            return error(place, "/kind: " + (kind.empty() ? "missing" : "found \"" + kind + "\"") +
                                    ", allowed LoadBalancer, AddressPool or Node" +
                                    (kind == "Token" ? " (`guideway token create` makes tokens)" : ""));
        }
        if (name.empty()) {
            const bool there = metadata.is_object() && metadata.contains("name") && !metadata["name"].is_null();
            const std::string found =
                there ? metadata["name"].dump(-1, ' ', false, Tree::error_handler_t::replace) : "";
            return error(place, "/metadata/name: " + (there ? "found " + found.substr(0, 100) +
                                                                  ", allowed a text (in quotes where it "
                                                                  "looks like a number)"
                                                            : "missing, allowed the object's name"));
        }
        const std::string body = tree.dump(-1, ' ', false, Tree::error_handler_t::replace);
        const std::string own_cluster = text_member(metadata, "cluster");
        const std::string cluster = !own_cluster.empty()      ? own_cluster
                                    : !place_.cluster.empty() ? place_.cluster
                                                              : resources::kDefaultCluster;
        if (kind == "LoadBalancer") {
            const std::string own = text_member(metadata, "namespace");
            keep(place, resources::decode_load_balancer(body, own.empty() ? place_.ns : own, name, cluster));
        } else if (kind == "AddressPool") {
            keep(place, resources::decode_address_pool(body, name));
        } else {
            keep(place, resources::decode_node(body, name, cluster));
        }
    }

    void error(const std::string& place, const std::string& message) {
        result_.errors.push_back(source_ + ": " + (place.empty() ? "" : place + ": ") + message);
    }

    Documents take() {
        if (result_.errors.empty() && result_.documents.empty()) error("", "found no document");
        if (!result_.errors.empty()) result_.documents.clear();
        return std::move(result_);
    }

  private:
    template <class T>
    void keep(const std::string& place, contract::Decoded<T> decoded) {
        for (const contract::Fault& fault : decoded.faults) {
            error(place, (fault.field.empty() ? "" : fault.field + ": ") + fault.message);
        }
        if (decoded.ok()) result_.documents.emplace_back(*std::move(decoded.value));
    }

    std::string source_;
    DefaultPlace place_;
    Documents result_;
};

}  // namespace

Documents read_documents(std::string_view text, const std::string& source, const DefaultPlace& defaults) {
    Collector collector(source, defaults);
    read_trees(
        text, [&](const std::string& place, const Tree& tree) { collector.add(tree, place); },
        [&](const std::string& place, const std::string& message) { collector.error(place, message); });
    return collector.take();
}

}  // namespace guideway::cli
