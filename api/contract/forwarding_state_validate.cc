#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "api/contract/forwarding_state_codec.h"

namespace guideway::contract {

namespace {

constexpr std::size_t kMostFaults = 100;

/// Faults of one state, with the place of each.
class Validator {
  public:
    explicit Validator(const ForwardingState& state) : state_(state) {}

    std::vector<Fault> run() {
        if (state_.backend_sets.size() > kMaxBackendSets)
            too_many("/backend_sets", state_.backend_sets.size(), kMaxBackendSets);
        if (state_.services.size() > kMaxServices) too_many("/services", state_.services.size(), kMaxServices);
        check_list_sizes();
        if (!faults_.empty()) return faults_;
        sets_.reserve(state_.backend_sets.size());
        listeners_.assign(std::bit_ceil(2 * state_.services.size() + 1), kNone);
        for (std::size_t i = 0; i < state_.backend_sets.size(); ++i) check_set(i);
        for (std::size_t i = 0; i < state_.source_range_sets.size(); ++i) check_ranges(i);
        for (std::size_t i = 0; i < state_.routes.size(); ++i) check_route(i);
        for (std::size_t i = 0; i < state_.vip_ports.size(); ++i) check_vip_ports(i);
        for (std::size_t i = 0; i < state_.services.size(); ++i) check_service(i);
        return std::move(faults_);
    }

  private:
    void add(std::string field, std::string message) {
        if (faults_.size() < kMostFaults) faults_.push_back({std::move(field), std::move(message)});
    }

    void too_many(const std::string& field, std::size_t found, std::size_t allowed) {
        add(field, "found " + std::to_string(found) + " elements, allowed at most " + std::to_string(allowed));
    }

    /// The place of a fault, put into words only where there is one.
    struct Place {
        const char* list;
        std::size_t index;
        const std::size_t* backend = nullptr;

        std::string operator/(const char* field) const { return text() + "/" + field; }
        std::string text() const {
            const std::string own = std::string(list) + std::to_string(index);
            return backend == nullptr ? own : own + "/backends/" + std::to_string(*backend);
        }
    };

    void check_name(const Place& place, const std::string& name) {
        if (name.empty() || name.size() > kMaxNameLength) {
            add(place / "name", "found a name of " + std::to_string(name.size()) + " bytes, allowed 1.." +
                                    std::to_string(kMaxNameLength));
            return;
        }
        for (const char c : name) {
            if (c > 0x20 && c < 0x7f) continue;
            add(place / "name",
                "found a name with a space, a control character or a byte beyond ASCII, allowed printable ASCII");
            return;
        }
    }

    void check_limit(const Place& place, const char* field, std::uint32_t limit) {
        if (limit <= kMaxPerSecond) return;
        add(place / field, "found " + std::to_string(limit) + ", allowed 0.." + std::to_string(kMaxPerSecond));
    }

    void check_address(const Place& place, const char* field, const IpAddress& address) {
        if (address.is_usable_unicast()) return;
        add(place / field,
            "found " + address.to_string() +
                ", allowed an address hosts can use (not unspecified, loopback, multicast, broadcast or link-local)");
    }

    /// Strictly ascending, as the control plane writes them, there is nothing to remember.
    static bool may_repeat(const std::vector<Backend>& backends) {
        const auto not_after = [](const Backend& a, const Backend& b) {
            return std::tie(a.address, a.port) >= std::tie(b.address, b.port);
        };
        return std::adjacent_find(backends.begin(), backends.end(), not_after) != backends.end();
    }

    void check_set(std::size_t index) {
        const BackendSet& set = state_.backend_sets[index];
        const Place place{"/backend_sets/", index};
        check_name(place, set.name);
        const auto [other, fresh] = sets_.emplace(set.name, Known{index, true});
        if (!fresh) {
            add(place / "name", "found \"" + set.name + "\" again, /backend_sets/" +
                                    std::to_string(other->second.index) + " has it already");
        }
        if (set.backends.size() > kMaxBackendsPerSet) {
            too_many(place / "backends", set.backends.size(), kMaxBackendsPerSet);
            return;
        }
        const bool watch = may_repeat(set.backends);
        std::set<std::pair<IpAddress, std::uint16_t>> seen;
        for (std::size_t i = 0; i < set.backends.size(); ++i) {
            const Backend& backend = set.backends[i];
            const Place here{"/backend_sets/", index, &i};
            check_name(here, backend.name);
            check_address(here, "address", backend.address);
            if (backend.address.family != set.family) {
                add(here / "address", "found " + backend.address.to_string() + " in a set of " +
                                          std::string(to_string(set.family)) + ", allowed that family only");
            }
            if (backend.weight > kMaxWeight) {
                add(here / "weight",
                    "found " + std::to_string(backend.weight) + ", allowed 0.." + std::to_string(kMaxWeight));
            }
            if (backend.closed && backend.weight != 0) {
                add(here / "closed",
                    "found true with a weight of " + std::to_string(backend.weight) + ", allowed only with weight 0");
            }
            if (watch && !seen.emplace(backend.address, backend.port).second) {
                add(here.text(), "found " + backend.address.to_string() + " port " + std::to_string(backend.port) +
                                     " twice in the set, allowed once");
            }
            if (backend.port == 0 && fresh) other->second.all_have_ports = false;
        }
    }

    void check_list_sizes() {
        const auto& ranges = state_.source_range_sets;
        if (ranges.size() > kMaxSourceRangeSets) too_many("/source_range_sets", ranges.size(), kMaxSourceRangeSets);
        if (state_.routes.size() > kMaxRoutes) too_many("/routes", state_.routes.size(), kMaxRoutes);
        if (state_.vip_ports.size() > kMaxServices) too_many("/vip_ports", state_.vip_ports.size(), kMaxServices);
        std::size_t prefixes = 0;
        for (const SourceRangeSet& set : ranges) prefixes += set.prefixes.size();
        if (prefixes > kMaxSourcePrefixes) {
            add("/source_range_sets", "found " + std::to_string(prefixes) + " prefixes in all, allowed at most " +
                                          std::to_string(kMaxSourcePrefixes));
        }
    }

    void check_ranges(std::size_t index) {
        const SourceRangeSet& set = state_.source_range_sets[index];
        const Place place{"/source_range_sets/", index};
        check_name(place, set.name);
        const auto [other, fresh] = ranges_.emplace(set.name, index);
        if (!fresh) {
            add(place / "name", "found \"" + set.name + "\" again, /source_range_sets/" +
                                    std::to_string(other->second) + " has it already");
        }
        for (std::size_t i = 0; i < set.prefixes.size(); ++i) {
            if (set.prefixes[i].length <= set.prefixes[i].address.bits()) continue;
            add(place / "prefixes" + "/" + std::to_string(i),
                "found a length of " + std::to_string(set.prefixes[i].length) + ", allowed 0.." +
                    std::to_string(set.prefixes[i].address.bits()));
        }
    }

    void check_route(std::size_t index) {
        const Route& route = state_.routes[index];
        const Place place{"/routes/", index};
        const IpPrefix& to = route.destination;
        check_address(place, "via", route.via);
        if (to.length == 0 || to.length > to.address.bits()) {
            // Nothing but pods is reached so; the way to everything is the operator's.
            add(place / "destination", "found a prefix length of " + std::to_string(to.length) + ", allowed 1.." +
                                           std::to_string(to.address.bits()));
            return;
        }
        if (to.network() != to) {
            add(place / "destination",
                "found " + to.to_string() + ", allowed " + to.network().to_string() + " (no bits beyond its length)");
        }
        check_address(place, "destination", to.address);
        if (route.via.family != to.address.family) {
            add(place / "via", "found " + route.via.to_string() + ", allowed an address of the destination's family (" +
                                   std::string(to_string(to.address.family)) + ")");
        }
        const auto [other, fresh] = routes_.emplace(to, index);
        if (!fresh) {
            add(place / "destination",
                "found " + to.to_string() + " again, /routes/" + std::to_string(other->second) + " has it already");
        }
    }

    void check_vip_ports(std::size_t index) {
        const VipPorts& bound = state_.vip_ports[index];
        const Place place{"/vip_ports/", index};
        check_address(place, "vip", bound.vip);
        const auto [other, fresh] = vip_ports_.emplace(bound.vip, index);
        if (!fresh) {
            add(place / "vip", "found " + bound.vip.to_string() + " again, /vip_ports/" +
                                   std::to_string(other->second) + " has it already");
        }
        if (bound.ports.empty() || bound.ports.size() > kMaxPortsOfVip) {
            add(place / "ports",
                "found " + std::to_string(bound.ports.size()) + " names, allowed 1.." + std::to_string(kMaxPortsOfVip));
        }
        // Whether the dataplane has such a port is its own to know: a name that it has not must not hold up everything else.
        for (std::size_t i = 0; i < bound.ports.size(); ++i) {
            if (!bound.ports[i].empty() && bound.ports[i].size() <= kMaxNameLength) continue;
            add(place / "ports" + "/" + std::to_string(i), "found a name of " + std::to_string(bound.ports[i].size()) +
                                                               " bytes, allowed 1.." + std::to_string(kMaxNameLength));
        }
    }

    void check_service(std::size_t index) {
        const Service& service = state_.services[index];
        const Place place{"/services/", index};
        check_name(place, service.name);
        check_address(place, "vip", service.vip);
        if (service.protocol != Protocol::tcp && service.protocol != Protocol::udp &&
            service.protocol != Protocol::sctp) {
            add(place / "protocol", "found number " + std::to_string(static_cast<unsigned>(service.protocol)) +
                                        ", allowed TCP, UDP or SCTP");
        }
        if (service.port == 0) add(place / "port", "found 0, allowed 1..65535");
        if (service.idle_timeout_seconds > kMaxIdleTimeoutSeconds) {
            add(place / "idle_timeout_seconds", "found " + std::to_string(service.idle_timeout_seconds) +
                                                    ", allowed 0.." + std::to_string(kMaxIdleTimeoutSeconds));
        }
        if (service.affinity_seconds > kMaxAffinitySeconds) {
            add(place / "affinity_seconds", "found " + std::to_string(service.affinity_seconds) + ", allowed 0.." +
                                                std::to_string(kMaxAffinitySeconds));
        }
        check_limit(place, "new_connections_per_second", service.new_connections_per_second);
        check_limit(place, "packets_per_second", service.packets_per_second);
        check_limit(place, "new_connections_per_second_per_source", service.new_connections_per_second_per_source);
        if (!service.source_ranges.empty() && !ranges_.contains(service.source_ranges)) {
            add(place / "source_ranges",
                "found \"" + service.source_ranges + "\", allowed the name of one of /source_range_sets, or none");
        }
        if (const std::size_t other = first_like(index); other != index) {
            add(place.text(), "found " + service.vip.to_string() + " " + std::string(to_string(service.protocol)) +
                                  " port " + std::to_string(service.port) + " again, /services/" +
                                  std::to_string(other) + " has it already");
        }
        const auto found = sets_.find(service.backend_set);
        if (found == sets_.end()) {
            add(place / "backend_set",
                "found \"" + service.backend_set + "\", allowed the name of one of /backend_sets");
            return;
        }
        const BackendSet& set = state_.backend_sets[found->second.index];
        if (set.family != service.vip.family) {
            add(place / "backend_set", "found a set of " + std::string(to_string(set.family)) +
                                           ", allowed one of the VIP's family (" +
                                           std::string(to_string(service.vip.family)) + ")");
        }
        if (service.backend_port == 0 && !found->second.all_have_ports) {
            add(place / "backend_port", "found 0 while a backend of the set has no port of its own, allowed 1..65535");
        }
    }

    /// The first service with this one's (VIP, protocol, port): itself, unless there was one before. An open-addressing table,
    /// at most half full.
    std::size_t first_like(std::size_t index) {
        const Service& service = state_.services[index];
        const std::size_t mask = listeners_.size() - 1;
        const std::uint64_t rest = std::uint64_t{static_cast<std::uint8_t>(service.protocol)} << 16 | service.port;
        std::uint64_t hash = (IpAddressHash()(service.vip) ^ rest) * 0x9e3779b97f4a7c15ULL;
        for (hash ^= hash >> 32;; ++hash) {
            std::uint32_t& slot = listeners_[hash & mask];
            if (slot == kNone) slot = static_cast<std::uint32_t>(index);
            const Service& there = state_.services[slot];
            if (there.port == service.port && there.protocol == service.protocol && there.vip == service.vip)
                return slot;
        }
    }

    struct Known {
        std::size_t index = 0;
        bool all_have_ports = true;
    };
    static constexpr std::uint32_t kNone = 0xffffffff;

    const ForwardingState& state_;
    std::vector<Fault> faults_;
    std::unordered_map<std::string_view, Known> sets_;
    std::unordered_map<std::string_view, std::size_t> ranges_;  ///< names of source range sets
    std::map<IpPrefix, std::size_t> routes_;
    std::unordered_map<IpAddress, std::size_t, IpAddressHash> vip_ports_;
    std::vector<std::uint32_t> listeners_;  ///< indices of services
};

}  // namespace

std::vector<Fault> validate(const ForwardingState& state) { return Validator(state).run(); }

}  // namespace guideway::contract
