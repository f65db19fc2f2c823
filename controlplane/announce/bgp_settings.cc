#include "controlplane/announce/bgp_settings.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <set>
#include <string_view>
#include <utility>

#include "controlplane/announce/bird_words.h"

namespace guideway::announce {
namespace {

constexpr std::size_t kMaxPeers = 64;
constexpr std::size_t kLongestName = 32;
constexpr std::int64_t kLargest32 = std::numeric_limits<std::uint32_t>::max();

std::string in_quotes(const std::string& text) { return "\"" + text + "\""; }

bool is_name(std::string_view text) {
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    return !text.empty() && text.size() <= kLongestName && text[0] >= 'a' && text[0] <= 'z' &&
           std::all_of(text.begin(), text.end(), fits);
}

config::Allowed name_text() {
    return config::matching(is_name, "a small letter, then small letters, digits and _, at most 32 in all");
}

/// One number of a community, at most `max`; takes it off the text with the colon after it.
bool take_number(std::string_view& text, std::uint64_t max) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || value > max) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

/// Why a session or a next hop cannot have this address; empty: it can.
std::string not_unicast(const IpAddress& address) {
    constexpr std::uint8_t kReserved = 240;  // 240.0.0.0/4, RFC 1112
    const bool v4 = address.is_v4();
    if (!v4 && address.is_link_local()) {
        return "allowed others than link-local ones: those need an interface, and none can be named here";
    }
    const bool mapped =
        !v4 &&
        std::all_of(address.bytes.begin(), address.bytes.begin() + 10, [](std::uint8_t byte) { return byte == 0; }) &&
        address.bytes[10] == 0xff && address.bytes[11] == 0xff;
    const bool reserved = v4 && (address.bytes[0] == 0 || address.bytes[0] >= kReserved);
    if (address.is_multicast() || mapped || reserved) return "allowed an address of one machine (unicast)";
    return {};
}

std::optional<IpAddress> read_address(config::Section& section, const char* key, std::optional<IpFamily> family = {}) {
    if (!section.has(key)) return std::nullopt;
    const std::string text = section.required_string(key);
    const auto address = IpAddress::parse(text);
    if (address && !address->is_unspecified() && (!family || address->family == *family)) return address;
    const std::string kind = family ? std::string(to_string(*family)) : "IPv4 or IPv6";
    if (!text.empty()) section.fault(key, "found " + in_quotes(text) + ", allowed an " + kind + " address");
    return std::nullopt;
}

/// The address of a machine.
std::optional<IpAddress> read_unicast(config::Section& section, const char* key, std::optional<IpFamily> family = {}) {
    const auto address = read_address(section, key, family);
    if (!address) return std::nullopt;
    const std::string why = not_unicast(*address);
    if (!why.empty()) section.fault(key, "found " + in_quotes(address->to_string()) + ", " + why);
    return address;
}

BgpPeer read_peer(config::Section& one) {
    BgpPeer peer;
    peer.name = one.required_string("name", name_text());
    if (one.has("address")) {
        peer.address = read_unicast(one, "address").value_or(IpAddress{});
    } else {
        one.required_string("address");
    }
    peer.port = static_cast<std::uint16_t>(one.integer_or("port", 179, 1, 65535));
    peer.asn = static_cast<std::uint32_t>(one.required_integer("asn", 1, kLargest32 - 1));
    peer.local_asn = static_cast<std::uint32_t>(one.integer_or("local_asn", 0, 1, kLargest32 - 1));
    peer.password_file = one.string_or("password_file", "", config::nonempty_text());
    peer.multihop = static_cast<std::uint8_t>(one.integer_or("multihop", 0, 0, 255));
    peer.bfd = one.boolean_or("bfd", false);
    peer.hold_seconds = static_cast<std::uint16_t>(one.integer_or("hold_seconds", 0, 3, 65535));
    peer.source = read_unicast(one, "source", peer.address.family);
    peer.next_hop_ipv4 = read_unicast(one, "next_hop_ipv4", IpFamily::ipv4);
    peer.next_hop_ipv6 = read_unicast(one, "next_hop_ipv6", IpFamily::ipv6);
    for (const std::string& text : one.strings("families", config::one_of({"IPv4", "IPv6"}), 0, 2)) {
        peer.families.push_back(text == "IPv4" ? IpFamily::ipv4 : IpFamily::ipv6);
    }
    std::sort(peer.families.begin(), peer.families.end());
    if (peer.families.empty()) peer.families = {peer.address.family};
    if (std::adjacent_find(peer.families.begin(), peer.families.end()) != peer.families.end()) {
        one.fault("families", "found one twice, allowed once");
    }
    for (const IpFamily family : peer.families) {
        const bool v4 = family == IpFamily::ipv4;
        if (family == peer.address.family || (v4 ? peer.next_hop_ipv4 : peer.next_hop_ipv6)) continue;
        one.fault("families", std::string("found ") + (v4 ? "IPv4 over IPv6" : "IPv6 over IPv4") + " without " +
                                  (v4 ? "next_hop_ipv4" : "next_hop_ipv6") +
                                  ", allowed only with it: nothing says where the router shall send the traffic");
    }
    if (peer.next_hop_ipv4 && !peer.carries(IpFamily::ipv4)) {
        one.fault("next_hop_ipv4", "found for a peer that is told of IPv6 alone, allowed with families that have IPv4");
    }
    if (peer.next_hop_ipv6 && !peer.carries(IpFamily::ipv6)) {
        one.fault("next_hop_ipv6", "found for a peer that is told of IPv4 alone, allowed with families that have IPv6");
    }
    return peer;
}

Advertisement read_advertisement(config::Section& one, const std::vector<BgpPeer>& peers) {
    Advertisement rule;
    rule.name = one.required_string("name", name_text());
    rule.pools = one.strings("pools");
    rule.ipv4_length = static_cast<std::uint8_t>(one.integer_or("aggregation_length", 32, 1, 32));
    rule.ipv6_length = static_cast<std::uint8_t>(one.integer_or("aggregation_length_ipv6", 128, 1, 128));
    rule.communities = one.strings(
        "communities",
        config::matching(is_community,
                         "a community \"64512:7\", a large one \"64512:1:2\", \"no-export\" or \"no-advertise\""),
        0, 32);
    const auto number = [&](const char* key) -> std::optional<std::uint32_t> {
        const auto value = one.optional_integer(key, 0, kLargest32);
        return value ? std::optional(static_cast<std::uint32_t>(*value)) : std::nullopt;
    };
    rule.local_preference = number("local_preference");
    rule.med = number("med");
    rule.peers = one.strings("peers");
    for (std::size_t i = 0; i < rule.peers.size(); ++i) {
        const bool known =
            std::any_of(peers.begin(), peers.end(), [&](const BgpPeer& peer) { return peer.name == rule.peers[i]; });
        if (known) continue;
        std::string names;
        for (const BgpPeer& peer : peers) names += (names.empty() ? "" : ", ") + in_quotes(peer.name);
        one.fault("peers", i,
                  "found " + in_quotes(rule.peers[i]) +
                      ", allowed the names of peers: " + (names.empty() ? "there are none" : names));
    }
    return rule;
}

/// Names become names of BIRD's configuration, beside "guideway4", "guideway_kernel4", "guideway_bfd" and the like.
void check_bird_name(config::Section& one, const std::string& name) {
    if (is_bird_word(name)) {
        one.fault("name", "found " + in_quotes(name) + ", allowed others than the words of BIRD's configuration");
    }
    if (name.starts_with("guideway")) {
        one.fault("name", "found " + in_quotes(name) + ", allowed names that do not begin with \"guideway\"");
    }
}

void check_address(config::Section& one, const BgpPeer& peer, const BgpPeer& other, Daemon daemon) {
    if (other.address != peer.address) return;
    const std::string found = "found " + in_quotes(peer.address.to_string()) + " twice, allowed once";
    if (other.port == peer.port) {
        one.fault("address", found);
    } else if (daemon == Daemon::frr) {
        one.fault("address", found + " with daemon = \"frr\", the port aside: FRR tells peers apart by address");
    }
}

bool share_a_pool(const Advertisement& a, const Advertisement& b) {
    if (a.pools.empty() || b.pools.empty()) return true;
    return std::any_of(a.pools.begin(), a.pools.end(), [&](const std::string& pool) {
        return std::find(b.pools.begin(), b.pools.end(), pool) != b.pools.end();
    });
}

/// Of several that make the same route the first counts, for everybody: a peer that only a later one names would silently get nothing.
void check_overlap(config::Section& one, const Advertisement& rule, const BgpSettings& settings) {
    for (const Advertisement& earlier : settings.advertisements) {
        if (!share_a_pool(earlier, rule)) continue;
        for (const BgpPeer& peer : settings.peers) {
            const bool same = (earlier.ipv4_length == rule.ipv4_length && peer.carries(IpFamily::ipv4)) ||
                              (earlier.ipv6_length == rule.ipv6_length && peer.carries(IpFamily::ipv6));
            if (!same || !BgpSettings::tells(rule, peer) || BgpSettings::tells(earlier, peer)) continue;
            one.fault("peers", "found " + in_quotes(peer.name) + " for routes that " + in_quotes(earlier.name) +
                                   " makes too, without " + in_quotes(peer.name) + ", allowed the peers of " +
                                   in_quotes(earlier.name) + ": of several that make the same route the first counts");
            return;
        }
    }
}

}  // namespace

const char* to_string(Daemon daemon) { return daemon == Daemon::bird ? "bird" : "frr"; }

bool BgpPeer::carries(IpFamily family) const {
    return std::find(families.begin(), families.end(), family) != families.end();
}

KernelTables BgpSettings::tables() const {
    return daemon == Daemon::frr ? KernelTables{kMainTable, kMainTable} : KernelTables{table, table};
}

bool BgpSettings::tells(const Advertisement& rule, const BgpPeer& peer) {
    return rule.peers.empty() || std::find(rule.peers.begin(), rule.peers.end(), peer.name) != rule.peers.end();
}

bool is_community(std::string_view text) {
    if (text == "no-export" || text == "no-advertise") return true;
    const auto colons = std::count(text.begin(), text.end(), ':');
    if (colons != 1 && colons != 2) return false;
    const std::uint64_t max =
        colons == 1 ? std::numeric_limits<std::uint16_t>::max() : std::numeric_limits<std::uint32_t>::max();
    for (auto left = colons; left >= 0; --left) {
        if (!take_number(text, max)) return false;
        if (left == 0) break;
        if (text.empty() || text[0] != ':') return false;
        text.remove_prefix(1);
    }
    return text.empty();
}

std::optional<BgpSettings> read_bgp(config::Section& controlplane) {
    config::Section section = controlplane.optional_group("bgp");
    if (!section.present()) return std::nullopt;
    BgpSettings out;
    const std::string daemon = section.required_string("daemon", config::one_of({"bird", "frr"}));
    out.daemon = daemon == "frr" ? Daemon::frr : Daemon::bird;
    out.socket = section.string_or("socket", out.daemon == Daemon::bird ? "/run/bird/bird.ctl" : "/var/run/frr",
                                   config::nonempty_text());
    // 253 to 255 are the kernel's own.
    out.table = static_cast<std::uint32_t>(section.integer_or("table", kDefaultTable, 1, 252));
    if (out.daemon == Daemon::frr && section.has("table")) {
        section.fault(
            "table",
            "found with daemon = \"frr\", allowed with \"bird\" only: FRR takes IPv6 routes from the main table alone");
    }
    out.asn = static_cast<std::uint32_t>(section.required_integer("asn", 1, kLargest32 - 1));
    out.router_id = read_address(section, "router_id", IpFamily::ipv4);
    out.without_backends =
        section.string_or("without_backends", "withdraw", config::one_of({"withdraw", "announce"})) == "withdraw"
            ? WithoutBackends::withdraw
            : WithoutBackends::announce;
    out.graceful_restart = section.boolean_or("graceful_restart", true);
    out.long_lived_seconds = static_cast<std::uint32_t>(section.integer_or("long_lived_seconds", 0, 0, 16777215));
    if (out.long_lived_seconds != 0 && !out.graceful_restart) {
        section.fault("long_lived_seconds",
                      "found " + std::to_string(out.long_lived_seconds) +
                          " with graceful_restart = false, allowed with true only: it begins where that ends");
    }
    out.bfd_interval_ms = static_cast<std::uint32_t>(section.integer_or("bfd_interval_ms", 100, 10, 60000));
    out.bfd_multiplier = static_cast<std::uint8_t>(section.integer_or("bfd_multiplier", 3, 2, 255));
    for (config::Section& one : section.groups("peers", 0, kMaxPeers)) {
        BgpPeer peer = read_peer(one);
        for (const BgpPeer& other : out.peers) {
            if (other.name == peer.name) one.fault("name", "found " + in_quotes(peer.name) + " twice, allowed once");
            check_address(one, peer, other, out.daemon);
        }
        if (out.daemon == Daemon::bird) check_bird_name(one, peer.name);
        out.peers.push_back(std::move(peer));
    }
    std::set<std::string> names;
    for (config::Section& one : section.groups("advertisements", 0, kMaxAdvertisements)) {
        Advertisement rule = read_advertisement(one, out.peers);
        if (!names.insert(rule.name).second) {
            one.fault("name", "found " + in_quotes(rule.name) + " twice, allowed once");
        }
        check_overlap(one, rule, out);
        out.advertisements.push_back(std::move(rule));
    }
    // Nothing said: everything, as host routes, to everybody.
    if (!section.has("advertisements")) out.advertisements.push_back(Advertisement{.name = "all"});
    return out;
}

}  // namespace guideway::announce
