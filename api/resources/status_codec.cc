#include "api/resources/status_codec.h"

#include <limits>

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"

namespace guideway::resources {

namespace {

std::uint64_t count(json::ObjectReader& reader, std::string_view key) {
    return reader.required_unsigned(key, 0, std::numeric_limits<std::uint64_t>::max());
}

SystemStatus read(json::ObjectReader& reader) {
    SystemStatus out;
    check_kind(reader, "SystemStatus");
    out.version = reader.required_string("version", json::length(0, 64));
    out.uptime_seconds = count(reader, "uptimeSeconds");
    json::ObjectReader dataplane = reader.required_object("dataplane");
    out.dataplane_connected = dataplane.required_boolean("connected");
    out.dataplane_error = dataplane.string_or("error", {}, json::length(0, 1U << 20));
    out.desired_generation = count(dataplane, "desiredGeneration");
    out.forwarding_generation = count(dataplane, "forwardingGeneration");
    dataplane.finish();
    json::ObjectReader load_balancers = reader.required_object("loadBalancers");
    out.load_balancers = count(load_balancers, "total");
    out.load_balancers_waiting = count(load_balancers, "waiting");
    load_balancers.finish();
    json::ObjectReader pools = reader.required_object("addressPools");
    out.address_pools = count(pools, "total");
    pools.finish();
    json::ObjectReader nodes = reader.required_object("nodes");
    out.nodes = count(nodes, "total");
    out.nodes_draining = count(nodes, "draining");
    nodes.finish();
    json::ObjectReader conflicts = reader.optional_object("addressConflicts");
    if (conflicts.present()) {
        out.address_conflicts = count(conflicts, "total");
        out.addresses_yielded = count(conflicts, "yielded");
        conflicts.finish();
    }
    return out;
}

}  // namespace

std::string encode(const SystemStatus& status, bool pretty) {
    nlohmann::ordered_json out = nlohmann::ordered_json::object();
    out["kind"] = "SystemStatus";
    out["version"] = status.version;
    out["uptimeSeconds"] = status.uptime_seconds;
    auto& dataplane = out["dataplane"] = nlohmann::ordered_json::object();
    dataplane["connected"] = status.dataplane_connected;
    dataplane["error"] = status.dataplane_error;
    dataplane["desiredGeneration"] = status.desired_generation;
    dataplane["forwardingGeneration"] = status.forwarding_generation;
    out["loadBalancers"]["total"] = status.load_balancers;
    out["loadBalancers"]["waiting"] = status.load_balancers_waiting;
    out["addressPools"]["total"] = status.address_pools;
    out["nodes"]["total"] = status.nodes;
    out["nodes"]["draining"] = status.nodes_draining;
    out["addressConflicts"]["total"] = status.address_conflicts;
    out["addressConflicts"]["yielded"] = status.addresses_yielded;
    return text_of(out, pretty);
}

contract::Decoded<SystemStatus> read_status(std::string_view body) {
    return decode_document<SystemStatus>(body, kMaxListBytes, read);
}

}  // namespace guideway::resources
