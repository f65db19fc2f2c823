#include "api/resources/bgp_status_codec.h"

#include <limits>

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"

namespace guideway::resources {

namespace {

constexpr json::TextRule kWords{0, 1U << 20, nullptr, nullptr};
constexpr std::size_t kMaxShown = 1U << 20;  ///< peers, routes
constexpr std::uint32_t kMaxAsn = std::numeric_limits<std::uint32_t>::max();

void read_daemon(json::ObjectReader& reader, BgpStatus& out) {
    json::ObjectReader daemon = reader.required_object("daemon");
    out.daemon = daemon.required_string("name", kWords);
    out.asn = daemon.required_integer<std::uint32_t>("asn", 0, kMaxAsn);
    out.router_id = daemon.string_or("routerId", {}, kWords);
    out.daemon_answers = daemon.required_boolean("answers");
    out.daemon_error = daemon.string_or("error", {}, kWords);
    if (daemon.has("ageSeconds")) out.age_seconds = read_count(daemon, "ageSeconds");
    daemon.finish();
}

BgpStatus read_bgp(json::ObjectReader& reader) {
    BgpStatus out;
    check_kind(reader, "BgpStatus");
    out.configured = reader.required_boolean("configured");
    if (out.configured) read_daemon(reader, out);
    reader.each_object("peers", {0, kMaxShown}, [&](json::ObjectReader& one) {
        BgpPeerStatus peer;
        peer.name = one.required_string("name", kWords);
        peer.address = one.required_value<IpAddress>("address", IpAddress::parse, "an IPv4 or IPv6 address");
        peer.asn = one.required_integer<std::uint32_t>("asn", 0, kMaxAsn);
        peer.state = one.required_string("state", kWords);
        peer.established = one.required_boolean("established");
        peer.since = one.string_or("since", {}, kWords);
        peer.routes = read_count(one, "routes");
        peer.last_error = one.string_or("lastError", {}, kWords);
        out.peers.push_back(std::move(peer));
    });
    reader.each_object("routes", {0, kMaxShown}, [&](json::ObjectReader& one) {
        ToldRoute route;
        route.prefix = one.required_value<IpPrefix>("prefix", IpPrefix::parse, "an IPv4 or IPv6 prefix");
        route.advertisement = one.string_or("advertisement", {}, kWords);
        out.routes.push_back(std::move(route));
    });
    json::ObjectReader announcing = reader.required_object("announcing");
    out.announce_error = announcing.string_or("error", {}, kWords);
    announcing.finish();
    out.maintenance = reader.required_boolean("maintenance");
    return out;
}

}  // namespace

std::string encode(const BgpStatus& status, bool pretty) {
    using Tree = nlohmann::ordered_json;
    Tree out = Tree::object();
    out["kind"] = "BgpStatus";
    out["configured"] = status.configured;
    if (status.configured) {
        Tree& daemon = out["daemon"] = Tree::object();
        daemon["name"] = status.daemon;
        daemon["asn"] = status.asn;
        if (!status.router_id.empty()) daemon["routerId"] = status.router_id;
        daemon["answers"] = status.daemon_answers;
        daemon["error"] = status.daemon_error;
        if (status.age_seconds) daemon["ageSeconds"] = *status.age_seconds;
    }
    Tree& peers = out["peers"] = Tree::array();
    for (const BgpPeerStatus& one : status.peers) {
        Tree& peer = peers.emplace_back(Tree::object());
        peer["name"] = one.name;
        peer["address"] = one.address.to_string();
        peer["asn"] = one.asn;
        peer["state"] = one.state;
        peer["established"] = one.established;
        peer["since"] = one.since;
        peer["routes"] = one.routes;
        peer["lastError"] = one.last_error;
    }
    Tree& routes = out["routes"] = Tree::array();
    for (const ToldRoute& one : status.routes) {
        Tree& route = routes.emplace_back(Tree::object());
        route["prefix"] = one.prefix.to_string();
        route["advertisement"] = one.advertisement;
    }
    out["announcing"]["error"] = status.announce_error;
    out["maintenance"] = status.maintenance;
    return text_of(out, pretty);
}

contract::Decoded<BgpStatus> read_bgp_status(std::string_view body) {
    return decode_document<BgpStatus>(body, kMaxListBytes, read_bgp);
}

}  // namespace guideway::resources
