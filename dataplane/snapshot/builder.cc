#include "dataplane/snapshot/builder.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace guideway::snapshot {
namespace {

std::uint16_t to_be(std::uint16_t value) { return __builtin_bswap16(value); }

std::uint64_t mixed(std::uint64_t value) { return (value ^ (value >> 32)) * 0x9e3779b97f4a7c15ULL; }

struct ServiceIdentity {
    IpAddress vip;
    std::uint8_t protocol = 0;
    std::uint16_t port = 0;
    friend bool operator==(const ServiceIdentity&, const ServiceIdentity&) = default;
};

struct BackendIdentity {
    IpAddress address;
    std::uint16_t port = 0;
    friend bool operator==(const BackendIdentity&, const BackendIdentity&) = default;
};

struct IdentityHash {
    std::size_t operator()(const ServiceIdentity& service) const noexcept {
        return mixed(IpAddressHash{}(service.vip) ^ (std::size_t{service.protocol} << 16 | service.port));
    }
    std::size_t operator()(const BackendIdentity& backend) const noexcept {
        return mixed(IpAddressHash{}(backend.address) ^ backend.port);
    }
};

/// Gives each identity a slot for as long as it exists. A state is a round: begin(), take() for all that is in it, then commit(),
/// or roll_back() to before begin(). Nothing is copied, so a round costs what the state's size is and little more.
template <typename Identity>
class Slots {
  public:
    explicit Slots(std::uint32_t limit)
        : incarnation_(std::min<std::uint32_t>(limit, 65535), 0), free_(incarnation_.size()) {
        freed_.reserve(incarnation_.size());
    }

    void begin() {
        ++round_;
        kept_ = 0;
        added_.clear();
    }
    /// The identity's slot, a new one where it has none: untouched ones first, then the one that has been free longest. Nothing
    /// where all are taken. Slots of what this round leaves out are not free before commit().
    std::optional<std::uint16_t> take(const Identity& identity) {
        if (const auto found = slots_.find(identity); found != slots_.end()) {
            Place& place = found->second;
            kept_ += place.round == round_ ? 0 : 1;
            place.round = round_;
            return place.slot;
        }
        if (untouched_ == incarnation_.size() && free_count_ == 0) return std::nullopt;
        Added& added = added_.emplace_back(Added{identity, 0});  // first, so that what fails below is rolled back
        if (untouched_ < incarnation_.size()) {
            added.slot = static_cast<std::uint16_t>(untouched_++);
        } else {
            added.slot = free_[free_first_];
            free_first_ = (free_first_ + 1) % free_.size();
            --free_count_;
        }
        slots_.emplace(identity, Place{added.slot, round_});
        ++kept_;
        return added.slot;
    }
    /// What was not taken is gone; its slots become available to the next state only: workers still count in them until
    /// this one is in force.
    void commit() noexcept {
        if (kept_ == slots_.size()) return;
        freed_.clear();
        std::erase_if(slots_, [&](const auto& entry) {
            if (entry.second.round == round_) return false;
            freed_.push_back(entry.second.slot);
            return true;
        });
        std::sort(freed_.begin(), freed_.end());
        for (const std::uint16_t slot : freed_) {
            ++incarnation_[slot];
            free_[(free_first_ + free_count_++) % free_.size()] = slot;
        }
    }
    /// The last added first, so that every slot is back in its place.
    void roll_back() noexcept {
        for (; !added_.empty(); added_.pop_back()) {
            const Added& last = added_.back();
            slots_.erase(last.identity);
            if (std::size_t{last.slot} + 1 == untouched_) {
                --untouched_;
            } else {
                free_first_ = (free_first_ + free_.size() - 1) % free_.size();
                free_[free_first_] = last.slot;
                ++free_count_;
            }
        }
    }

    const std::vector<std::uint8_t>& incarnation() const { return incarnation_; }

  private:
    struct Place {
        std::uint16_t slot = 0;
        std::uint64_t round = 0;  ///< the last one that took it
    };
    struct Added {
        Identity identity;
        std::uint16_t slot = 0;
    };
    std::unordered_map<Identity, Place, IdentityHash> slots_;
    std::vector<std::uint8_t> incarnation_;
    std::vector<std::uint16_t> free_;  ///< a ring: commit() must not fail for want of memory
    std::size_t free_first_ = 0;
    std::size_t free_count_ = 0;
    std::vector<std::uint16_t> freed_;
    std::vector<Added> added_;  ///< in this round
    std::size_t untouched_ = 0;
    std::size_t kept_ = 0;  ///< different identities of this round
    std::uint64_t round_ = 0;
};

/// What a Maglev table is made of, in the canonical order.
struct SetContent {
    std::vector<balancing::MaglevBackend> backends;

    friend bool operator==(const SetContent& a, const SetContent& b) {
        return std::equal(a.backends.begin(), a.backends.end(), b.backends.begin(), b.backends.end(),
                          [](const balancing::MaglevBackend& x, const balancing::MaglevBackend& y) {
                              return x.address == y.address && x.port == y.port && x.weight == y.weight;
                          });
    }
};

struct SetContentHash {
    std::size_t operator()(const SetContent& content) const noexcept {
        std::uint64_t hash = content.backends.size();
        for (const balancing::MaglevBackend& backend : content.backends) {
            hash = mixed(hash ^ IpAddressHash{}(backend.address));
            hash = mixed(hash ^ (std::uint64_t{backend.port} << 32 | backend.weight));
        }
        return hash;
    }
};

/// Of one state: equal sets are one entry.
using Tables = std::unordered_map<SetContent, std::shared_ptr<const balancing::MaglevTable>, SetContentHash>;

/// By name, with what they were made of: a set that is the same again is not made again.
struct KnownRanges {
    std::vector<IpPrefix> prefixes;
    std::shared_ptr<const guard::SourceRanges> ranges;
};
using RangesByName = std::unordered_map<std::string, KnownRanges>;

ServiceIdentity identity_of(const contract::Service& service) {
    return {service.vip, static_cast<std::uint8_t>(service.protocol), service.port};
}

/// Pointers into `backends`, by address and port.
void canonical(const std::vector<contract::Backend>& backends, std::vector<const contract::Backend*>& order) {
    const auto before = [](const contract::Backend* a, const contract::Backend* b) {
        return std::tie(a->address, a->port) < std::tie(b->address, b->port);
    };
    order.clear();
    for (const contract::Backend& backend : backends) order.push_back(&backend);
    if (!std::is_sorted(order.begin(), order.end(), before)) std::stable_sort(order.begin(), order.end(), before);
}

std::string pointer(const char* list, std::size_t index, const char* field) {
    return "/" + std::string(list) + "/" + std::to_string(index) + "/" + field;
}

}  // namespace

struct Builder::State {
    State(BuilderLimits given, std::vector<IpAddress> snat, std::vector<std::string> ports)
        : snat_addresses(std::move(snat)),
          port_names(std::move(ports)),
          services(given.services),
          backends(given.backends) {}

    std::vector<IpAddress> snat_addresses;
    std::vector<std::string> port_names;
    Slots<ServiceIdentity> services;
    Slots<BackendIdentity> backends;
    Tables tables;       ///< of the last good state
    Tables next_tables;  ///< of the state that is being built
    RangesByName ranges;
    RangesByName next_ranges;

    void begin();
    void commit() noexcept;
    void roll_back() noexcept;

    void check(const contract::ForwardingState& state, std::vector<contract::Fault>& faults) const;
    void build_sets(const contract::ForwardingState& state, ForwardingSnapshot& snapshot,
                    std::vector<contract::Fault>& faults);
    void build_ranges(const contract::ForwardingState& state, ForwardingSnapshot& snapshot);
    void build_services(const contract::ForwardingState& state, ForwardingSnapshot& snapshot,
                        std::vector<contract::Fault>& faults);
    void build_snat(ForwardingSnapshot& snapshot) const;
    void build_vip_ports(const contract::ForwardingState& state, ForwardingSnapshot& snapshot) const;
    std::shared_ptr<const balancing::MaglevTable> table_for(const balancing::BackendSet& set);
};

Builder::Builder(BuilderLimits limits, std::vector<IpAddress> snat_addresses, std::vector<std::string> port_names)
    : state_(std::make_unique<State>(limits, std::move(snat_addresses), std::move(port_names))) {}
Builder::~Builder() = default;

void Builder::State::check(const contract::ForwardingState& state, std::vector<contract::Fault>& faults) const {
    if (state.backend_sets.size() > 65535) {
        faults.push_back({"/backend_sets", std::to_string(state.backend_sets.size()) + " sets, at most 65535"});
    }
    for (std::size_t i = 0; i < state.backend_sets.size(); ++i) {
        const std::size_t count = state.backend_sets[i].backends.size();
        if (count <= balancing::MaglevTable::kMaxBackends) continue;
        faults.push_back({pointer("backend_sets", i, "backends"), std::to_string(count) + " backends, at most 65535"});
    }
    std::unordered_map<std::string_view, IpFamily> sets;
    sets.reserve(state.backend_sets.size());
    for (const contract::BackendSet& set : state.backend_sets) sets.emplace(set.name, set.family);
    std::unordered_set<std::string_view> range_sets;
    for (const contract::SourceRangeSet& set : state.source_range_sets) range_sets.insert(set.name);
    for (std::size_t i = 0; i < state.services.size(); ++i) {
        const contract::Service& service = state.services[i];
        if (!service.source_ranges.empty() && !range_sets.contains(service.source_ranges)) {
            faults.push_back({pointer("services", i, "source_ranges"),
                              "no set of source ranges is named \"" + service.source_ranges + "\" in this state"});
        }
        if (std::find(snat_addresses.begin(), snat_addresses.end(), service.vip) != snat_addresses.end()) {
            faults.push_back({pointer("services", i, "vip"), service.vip.to_string() +
                                                                 " is a SNAT address of this appliance; a VIP must be "
                                                                 "an address of its own"});
        }
        const auto set = sets.find(service.backend_set);
        if (set == sets.end()) {
            faults.push_back({pointer("services", i, "backend_set"),
                              "no backend set is named \"" + service.backend_set + "\" in this state"});
        } else if (set->second != service.vip.family) {
            faults.push_back({pointer("services", i, "backend_set"),
                              "the set \"" + service.backend_set + "\" is not of the VIP's family"});
        }
    }
}

void Builder::State::begin() {
    services.begin();
    backends.begin();
    next_tables.clear();
    next_ranges.clear();
}

void Builder::State::commit() noexcept {
    services.commit();
    backends.commit();
    tables.swap(next_tables);
    next_tables.clear();
    ranges.swap(next_ranges);
    next_ranges.clear();
}

void Builder::State::roll_back() noexcept {
    services.roll_back();
    backends.roll_back();
    next_tables.clear();
    next_ranges.clear();
}

std::shared_ptr<const balancing::MaglevTable> Builder::State::table_for(const balancing::BackendSet& set) {
    auto [entry, is_new] = next_tables.try_emplace(SetContent{balancing::maglev_backends(set.backends)});
    if (!is_new) return entry->second;
    if (const auto known = tables.find(entry->first); known != tables.end()) {
        entry->second = known->second;
    } else {
        const auto& list = entry->first.backends;
        entry->second = balancing::MaglevTable::build(list, balancing::MaglevTable::size_for(list.size()));
    }
    return entry->second;
}

void Builder::State::build_sets(const contract::ForwardingState& state, ForwardingSnapshot& snapshot,
                                std::vector<contract::Fault>& faults) {
    std::vector<bool> labelled(backends.incarnation().size(), false);
    std::vector<const contract::Backend*> order;
    snapshot.sets.reserve(state.backend_sets.size());
    snapshot.set_labels.reserve(state.backend_sets.size());
    for (const contract::BackendSet& given : state.backend_sets) {
        balancing::BackendSet set;
        BackendSetLabel label{given.name, {}};
        set.family = given.family;
        set.backends.reserve(given.backends.size());
        label.backends.reserve(given.backends.size());
        canonical(given.backends, order);
        for (const contract::Backend* const backend : order) {
            const auto slot = backends.take({backend->address, backend->port});
            if (!slot) {
                faults.push_back({"/backend_sets", "more different backends than the dataplane's limit of " +
                                                       std::to_string(backends.incarnation().size()) +
                                                       " (slots of removed ones are free from the next state on)"});
                return;
            }
            set.backends.push_back({backend->address, to_be(backend->port), *slot, backends.incarnation()[*slot],
                                    backend->weight, backend->closed});
            set.some_closed |= backend->closed;
            label.backends.push_back(backend->name);
            if (!labelled[*slot]) {
                labelled[*slot] = true;
                snapshot.backend_labels.push_back({*slot, given.name, backend->name, backend->address, backend->port});
            }
        }
        set.table = table_for(set);
        set.members = balancing::members_of(set.backends);
        snapshot.some_closed |= set.some_closed;
        snapshot.sets.push_back(std::move(set));
        snapshot.set_labels.push_back(std::move(label));
    }
}

void Builder::State::build_ranges(const contract::ForwardingState& state, ForwardingSnapshot& snapshot) {
    for (const contract::SourceRangeSet& set : state.source_range_sets) {
        KnownRanges& next = next_ranges[set.name];
        const auto known = ranges.find(set.name);
        const bool same = known != ranges.end() && known->second.prefixes == set.prefixes;
        next.prefixes = set.prefixes;
        next.ranges = same ? known->second.ranges : std::make_shared<const guard::SourceRanges>(set.prefixes);
        snapshot.source_ranges.push_back(next.ranges);
    }
}

void Builder::State::build_services(const contract::ForwardingState& state, ForwardingSnapshot& snapshot,
                                    std::vector<contract::Fault>& faults) {
    std::unordered_map<std::string_view, std::uint16_t> set_index;
    set_index.reserve(state.backend_sets.size());
    for (std::size_t i = 0; i < state.backend_sets.size(); ++i) {
        set_index.emplace(state.backend_sets[i].name, static_cast<std::uint16_t>(i));
    }
    std::vector<balancing::ServiceEntry> entries;
    std::vector<std::pair<std::uint16_t, const guard::SourceRanges*>>
        ending;  ///< slots whose connections ranges may end
    std::vector<IpAddress> vips;
    entries.reserve(state.services.size());
    vips.reserve(state.services.size());
    snapshot.service_labels.reserve(state.services.size());
    for (const contract::Service& service : state.services) {
        const auto slot = services.take(identity_of(service));
        if (!slot) {
            faults.push_back({"/services", "more services than the dataplane's limit of " +
                                               std::to_string(services.incarnation().size()) +
                                               " (slots of removed ones are free from the next state on)"});
            return;
        }
        const guard::SourceRanges* allowed =
            service.source_ranges.empty() ? nullptr : next_ranges.at(service.source_ranges).ranges.get();
        if (allowed != nullptr && service.ranges_end_established) ending.emplace_back(*slot, allowed);
        entries.push_back({service.vip,
                           static_cast<std::uint8_t>(service.protocol),
                           services.incarnation()[*slot],
                           to_be(service.port),
                           to_be(service.backend_port),
                           *slot,
                           set_index.at(service.backend_set),
                           service.idle_timeout_seconds,
                           service.affinity_seconds,
                           allowed,
                           {service.new_connections_per_second, service.packets_per_second,
                            service.new_connections_per_second_per_source}});
        if (service.affinity_seconds != 0) {
            balancing::BackendSet& set = snapshot.sets[entries.back().backend_set];
            if (set.by_identity.empty()) set.index_identities();
        }
        vips.push_back(service.vip);
        snapshot.service_labels.push_back({service.name, *slot, service.source_ranges});
    }
    snapshot.services = balancing::ServiceTable(entries);
    snapshot.service_rules.resize(services.incarnation().size());
    for (const balancing::ServiceEntry& entry : entries) {
        snapshot.service_rules[entry.slot].backend_set = entry.backend_set;
        snapshot.service_rules[entry.slot].packets_per_second = entry.limits.packets;
        snapshot.some_packet_limits |= entry.limits.packets != 0;
    }
    for (const auto& [slot, allowed] : ending) snapshot.service_rules[slot].established = allowed;
    snapshot.some_end = snapshot.some_closed || !ending.empty();
    snapshot.vips = balancing::AddressSet(vips);
    vips.clear();
    for (const contract::Service& service : state.services) {
        if (service.silent) vips.push_back(service.vip);
    }
    snapshot.vips_silent = balancing::AddressSet(vips);
    std::erase_if(
        entries, [&](const balancing::ServiceEntry& entry) { return snapshot.sets[entry.backend_set].table->empty(); });
    vips.clear();
    for (const balancing::ServiceEntry& entry : entries) vips.push_back(entry.vip);
    snapshot.vips_serving = balancing::AddressSet(vips);
}

void Builder::State::build_snat(ForwardingSnapshot& snapshot) const {
    snapshot.snat = balancing::AddressSet(snat_addresses);
    for (const IpAddress& address : snat_addresses) {
        if (address.is_v4()) {
            std::uint32_t value;
            std::memcpy(&value, address.bytes.data(), sizeof value);
            snapshot.snat_v4.push_back(value);
        } else {
            snapshot.snat_v6.push_back(address.bytes);
        }
    }
}

/// A name that is no port of ours is no reason to refuse all the rest: nobody is served by it, and it is told.
void Builder::State::build_vip_ports(const contract::ForwardingState& state, ForwardingSnapshot& snapshot) const {
    snapshot.port_names = port_names;
    for (const contract::VipPorts& given : state.vip_ports) {
        BoundVip bound{given.vip, 0};
        for (const std::string& name : given.ports) {
            const auto at = std::ranges::find(port_names, name);
            const auto index = static_cast<std::size_t>(at - port_names.begin());
            if (at != port_names.end() && index < BoundVip::kMostPorts) {
                bound.ports |= 1U << index;
            } else if (std::ranges::find(snapshot.unknown_ports, name) == snapshot.unknown_ports.end()) {
                snapshot.unknown_ports.push_back(name);
            }
        }
        snapshot.vips_bound.push_back(bound);
    }
    std::ranges::sort(snapshot.vips_bound, {}, &BoundVip::vip);
}

BuildResult Builder::build(const contract::ForwardingState& state) {
    BuildResult result;
    state_->check(state, result.faults);
    if (!result.faults.empty()) return result;

    auto snapshot = std::make_shared<ForwardingSnapshot>();
    snapshot->generation = state.generation;
    state_->begin();
    try {
        state_->build_snat(*snapshot);
        state_->build_vip_ports(state, *snapshot);
        state_->build_sets(state, *snapshot, result.faults);
        state_->build_ranges(state, *snapshot);
        state_->build_services(state, *snapshot, result.faults);
        snapshot->service_incarnation = state_->services.incarnation();  // room now, the values after commit()
        snapshot->backend_incarnation = state_->backends.incarnation();
        snapshot->service_idle_seconds.resize(snapshot->service_incarnation.size());
        for (const balancing::ServiceEntry& service : snapshot->services.services()) {
            snapshot->service_idle_seconds[service.slot] = service.idle_timeout_seconds;
        }
    } catch (...) {  // memory, most likely
        state_->roll_back();
        throw;
    }
    if (!result.faults.empty()) {
        state_->roll_back();
        return result;
    }
    state_->commit();
    std::ranges::copy(state_->services.incarnation(), snapshot->service_incarnation.begin());
    std::ranges::copy(state_->backends.incarnation(), snapshot->backend_incarnation.begin());
    result.snapshot = std::move(snapshot);
    return result;
}

}  // namespace guideway::snapshot
