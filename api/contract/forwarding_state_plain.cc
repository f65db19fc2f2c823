// The quick way of reading a ForwardingState (json/plain_cursor.h): the forms are those of forwarding_state_codec.cc and
// messages.cc, which read whatever this gives up on.
#include <limits>
#include <utility>

#include "api/contract/forwarding_state_codec.h"
#include "api/contract/json_form.h"
#include "api/json/plain_cursor.h"

namespace guideway::contract {

namespace {

using json::PlainCursor;
using json::Seen;

constexpr std::size_t kLongestText = 4096;

bool read_text(PlainCursor& cursor, std::string& out) {
    std::string_view text;
    if (!cursor.text(text) || text.size() > kLongestText) return false;
    out = text;
    return true;
}

template <class T>
bool read_number(PlainCursor& cursor, T& out, std::uint64_t least, std::uint64_t most) {
    std::uint64_t number = 0;
    if (!cursor.number(number, most) || number < least) return false;
    out = static_cast<T>(number);
    return true;
}

bool read_address(PlainCursor& cursor, IpAddress& out) {
    std::string_view text;
    if (!cursor.text(text)) return false;
    const auto address = IpAddress::parse(text);
    if (address) out = *address;
    return address.has_value();
}

bool read_prefix(PlainCursor& cursor, IpPrefix& out) {
    std::string_view text;
    if (!cursor.text(text)) return false;
    const auto prefix = IpPrefix::parse(text);
    if (prefix) out = *prefix;
    return prefix.has_value();
}

bool read_backend(PlainCursor& cursor, Backend& backend) {
    Seen seen;
    return cursor.object([&](std::string_view key) {
        if (key == "name") return seen.first(0) && read_text(cursor, backend.name);
        if (key == "address") return seen.first(1) && read_address(cursor, backend.address);
        if (key == "port") return seen.first(2) && read_number(cursor, backend.port, 0, 65535);
        if (key == "weight") return seen.first(3) && read_number(cursor, backend.weight, 0, kMaxWeight);
        if (key == "closed") return seen.first(4) && cursor.boolean(backend.closed);
        return false;
    }) && seen.all(0b11);
}

bool read_backend_set(PlainCursor& cursor, BackendSet& set) {
    Seen seen;
    return cursor.object([&](std::string_view key) {
        if (key == "name") return seen.first(0) && read_text(cursor, set.name);
        if (key == "family") {
            std::string_view family;
            if (!seen.first(1) || !cursor.text(family)) return false;
            set.family = family == "IPv6" ? IpFamily::ipv6 : IpFamily::ipv4;
            return family == to_string(set.family);
        }
        if (key == "backends") {
            return seen.first(2) &&
                   cursor.array(kMaxBackendsPerSet, [&] { return read_backend(cursor, set.backends.emplace_back()); });
        }
        return false;
    }) && seen.all(0b11);
}

bool read_source_ranges(PlainCursor& cursor, SourceRangeSet& set) {
    Seen seen;
    return cursor.object([&](std::string_view key) {
        if (key == "name") return seen.first(0) && read_text(cursor, set.name);
        if (key == "prefixes") {
            return seen.first(1) &&
                   cursor.array(kMaxSourcePrefixes, [&] { return read_prefix(cursor, set.prefixes.emplace_back()); });
        }
        return false;
    }) && seen.all(0b1);
}

bool read_route(PlainCursor& cursor, Route& route) {
    Seen seen;
    return cursor.object([&](std::string_view key) {
        if (key == "destination") return seen.first(0) && read_prefix(cursor, route.destination);
        if (key == "via") return seen.first(1) && read_address(cursor, route.via);
        return false;
    }) && seen.all(0b11);
}

bool read_vip_ports(PlainCursor& cursor, VipPorts& bound) {
    Seen seen;
    return cursor.object([&](std::string_view key) {
        if (key == "vip") return seen.first(0) && read_address(cursor, bound.vip);
        if (key == "ports") {
            return seen.first(1) &&
                   cursor.array(kMaxPortsOfVip, [&] { return read_text(cursor, bound.ports.emplace_back()); });
        }
        return false;
    }) && seen.all(0b11) &&
           !bound.ports.empty();
}

bool read_service(PlainCursor& cursor, Service& service) {
    Seen seen;
    return cursor.object([&](std::string_view key) {
        if (key == "name") return seen.first(0) && read_text(cursor, service.name);
        if (key == "vip") return seen.first(1) && read_address(cursor, service.vip);
        if (key == "protocol") {
            std::string_view name;
            if (!seen.first(2) || !cursor.text(name)) return false;
            const auto protocol = parse_protocol(name);
            if (protocol) service.protocol = *protocol;
            return protocol.has_value();
        }
        if (key == "port") return seen.first(3) && read_number(cursor, service.port, 1, 65535);
        if (key == "backend_set") return seen.first(4) && read_text(cursor, service.backend_set);
        if (key == "backend_port") return seen.first(5) && read_number(cursor, service.backend_port, 0, 65535);
        if (key == "idle_timeout_seconds") {
            return seen.first(6) && read_number(cursor, service.idle_timeout_seconds, 0, kMaxIdleTimeoutSeconds);
        }
        if (key == "affinity_seconds") {
            return seen.first(7) && read_number(cursor, service.affinity_seconds, 0, kMaxAffinitySeconds);
        }
        if (key == "source_ranges") return seen.first(8) && read_text(cursor, service.source_ranges);
        if (key == "ranges_end_established") return seen.first(9) && cursor.boolean(service.ranges_end_established);
        if (key == "silent") return seen.first(10) && cursor.boolean(service.silent);
        if (key == "new_connections_per_second")
            return seen.first(11) && read_number(cursor, service.new_connections_per_second, 0, kMaxPerSecond);
        if (key == "packets_per_second")
            return seen.first(12) && read_number(cursor, service.packets_per_second, 0, kMaxPerSecond);
        if (key == "new_connections_per_second_per_source")
            return seen.first(13) &&
                   read_number(cursor, service.new_connections_per_second_per_source, 0, kMaxPerSecond);
        return false;
    }) && seen.all(0b11111);
}

bool read_state(PlainCursor& cursor, ForwardingState& state) {
    Seen seen;
    std::uint32_t format = 0;
    return cursor.object([&](std::string_view key) {
        if (key == "format") {
            return seen.first(0) && read_number(cursor, format, ForwardingState::kFormat, ForwardingState::kFormat);
        }
        if (key == "generation") {
            return seen.first(1) && read_number(cursor, state.generation, 0, std::numeric_limits<std::uint64_t>::max());
        }
        if (key == "backend_sets") {
            return seen.first(2) && cursor.array(kMaxBackendSets, [&] {
                return read_backend_set(cursor, state.backend_sets.emplace_back());
            });
        }
        if (key == "source_range_sets") {
            return seen.first(4) && cursor.array(kMaxSourceRangeSets, [&] {
                return read_source_ranges(cursor, state.source_range_sets.emplace_back());
            });
        }
        if (key == "routes") {
            return seen.first(5) &&
                   cursor.array(kMaxRoutes, [&] { return read_route(cursor, state.routes.emplace_back()); });
        }
        if (key == "vip_ports") {
            return seen.first(6) &&
                   cursor.array(kMaxServices, [&] { return read_vip_ports(cursor, state.vip_ports.emplace_back()); });
        }
        if (key == "services") {
            return seen.first(3) &&
                   cursor.array(kMaxServices, [&] { return read_service(cursor, state.services.emplace_back()); });
        }
        return false;
    }) && seen.all(0b11);
}

}  // namespace

std::optional<ForwardingState> read_plain_state(std::string_view text) {
    if (text.size() > kMaxStateBytes) return std::nullopt;
    PlainCursor cursor(text);
    std::optional<ForwardingState> state(std::in_place);
    if (!read_state(cursor, *state) || !cursor.end()) return std::nullopt;
    return state;
}

std::optional<ForwardingState> read_plain_apply(std::string_view line) {
    if (line.size() > kMaxStateBytes) return std::nullopt;
    PlainCursor cursor(line);
    std::optional<ForwardingState> state(std::in_place);
    Seen seen;
    const bool read = cursor.object([&](std::string_view key) {
        if (key == "type") {
            std::string_view type;
            return seen.first(0) && cursor.text(type) && type == "apply";
        }
        if (key == "state") return seen.first(1) && read_state(cursor, *state);
        return false;
    });
    if (!read || !cursor.end() || !seen.all(0b11)) return std::nullopt;
    return state;
}

}  // namespace guideway::contract
