#include "dataplane/snapshot/builder.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

namespace guideway::snapshot {
namespace {

std::uint16_t to_be(std::uint16_t value) { return __builtin_bswap16(value); }

/// Gives each identity a slot for as long as it exists.
template <typename Identity>
class Slots {
  public:
    explicit Slots(std::uint32_t limit) : incarnation_(std::min<std::uint32_t>(limit, 65535), 0) {}

    /// Before keep(): everything is taken for gone.
    void begin() {
        previous_ = std::move(slots_);
        slots_.clear();
    }
    /// The slot of an identity that existed before, or that was asked for already.
    std::optional<std::uint16_t> keep(const Identity& identity) {
        if (const auto found = slots_.find(identity); found != slots_.end()) return found->second;
        const auto node = previous_.extract(identity);
        if (node.empty()) return std::nullopt;
        return slots_.emplace(identity, node.mapped()).first->second;
    }
    /// A slot for a new identity, untouched ones first; nothing when all are taken.
    std::optional<std::uint16_t> take(const Identity& identity) {
        if (const auto found = slots_.find(identity); found != slots_.end()) return found->second;
        std::uint16_t slot = 0;
        if (untouched_ < incarnation_.size()) {
            slot = static_cast<std::uint16_t>(untouched_++);
        } else if (!free_.empty()) {
            slot = free_.front();
            free_.pop_front();
        } else {
            return std::nullopt;
        }
        slots_.emplace(identity, slot);
        return slot;
    }
    /// What was not kept is gone; its slots become available to the next state only: workers still count in them until
    /// this one is in force.
    void end() {
        std::vector<std::uint16_t> freed;
        for (const auto& [identity, slot] : previous_) freed.push_back(slot);
        std::sort(freed.begin(), freed.end());
        for (const std::uint16_t slot : freed) {
            ++incarnation_[slot];
            free_.push_back(slot);
        }
        previous_.clear();
    }

    const std::vector<std::uint8_t>& incarnation() const { return incarnation_; }

  private:
    std::map<Identity, std::uint16_t> slots_;
    std::map<Identity, std::uint16_t> previous_;
    std::vector<std::uint8_t> incarnation_;
    std::deque<std::uint16_t> free_;
    std::size_t untouched_ = 0;
};

using ServiceIdentity = std::tuple<IpAddress, std::uint8_t, std::uint16_t>;
using BackendIdentity = std::pair<IpAddress, std::uint16_t>;
/// What a Maglev table is made of, in the canonical order.
using SetContent = std::vector<std::tuple<IpAddress, std::uint16_t, std::uint32_t>>;

ServiceIdentity identity_of(const contract::Service& service) {
    return {service.vip, static_cast<std::uint8_t>(service.protocol), service.port};
}

std::vector<contract::Backend> canonical(std::vector<contract::Backend> backends) {
    std::stable_sort(backends.begin(), backends.end(), [](const contract::Backend& a, const contract::Backend& b) {
        return std::tie(a.address, a.port) < std::tie(b.address, b.port);
    });
    return backends;
}

std::string pointer(const char* list, std::size_t index, const char* field) {
    return "/" + std::string(list) + "/" + std::to_string(index) + "/" + field;
}

}  // namespace

struct Builder::State {
    State(BuilderLimits given, std::vector<IpAddress> snat)
        : limits(given), snat_addresses(std::move(snat)), services(given.services), backends(given.backends) {}

    BuilderLimits limits;
    std::vector<IpAddress> snat_addresses;
    Slots<ServiceIdentity> services;
    Slots<BackendIdentity> backends;
    std::map<SetContent, std::shared_ptr<const balancing::MaglevTable>> tables;  ///< of the last good state

    void check(const contract::ForwardingState& state, std::vector<contract::Fault>& faults) const;
    void keep_slots(const contract::ForwardingState& state);
    void build_sets(const contract::ForwardingState& state, ForwardingSnapshot& snapshot,
                    std::vector<contract::Fault>& faults);
    void build_services(const contract::ForwardingState& state, ForwardingSnapshot& snapshot,
                        std::vector<contract::Fault>& faults);
    std::shared_ptr<const balancing::MaglevTable> table_for(const balancing::BackendSet& set,
                                                            decltype(tables)& next_tables) const;
};

Builder::Builder(BuilderLimits limits, std::vector<IpAddress> snat_addresses)
    : state_(std::make_unique<State>(limits, std::move(snat_addresses))) {}
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
    std::map<std::string_view, IpFamily> sets;
    for (const contract::BackendSet& set : state.backend_sets) sets.emplace(set.name, set.family);
    for (std::size_t i = 0; i < state.services.size(); ++i) {
        const contract::Service& service = state.services[i];
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

void Builder::State::keep_slots(const contract::ForwardingState& state) {
    services.begin();
    backends.begin();
    for (const contract::Service& service : state.services) services.keep(identity_of(service));
    for (const contract::BackendSet& set : state.backend_sets) {
        for (const contract::Backend& backend : set.backends) backends.keep({backend.address, backend.port});
    }
}

std::shared_ptr<const balancing::MaglevTable> Builder::State::table_for(const balancing::BackendSet& set,
                                                                        decltype(tables)& next_tables) const {
    SetContent content;
    content.reserve(set.backends.size());
    for (const balancing::BackendEntry& backend : set.backends) {
        content.emplace_back(backend.address, backend.port_be, backend.weight);
    }
    auto [entry, is_new] = next_tables.try_emplace(std::move(content));
    if (!is_new) return entry->second;
    if (const auto known = tables.find(entry->first); known != tables.end()) {
        entry->second = known->second;
    } else {
        const auto list = balancing::maglev_backends(set.backends);
        entry->second = balancing::MaglevTable::build(list, balancing::MaglevTable::size_for(list.size()));
    }
    return entry->second;
}

void Builder::State::build_sets(const contract::ForwardingState& state, ForwardingSnapshot& snapshot,
                                std::vector<contract::Fault>& faults) {
    decltype(tables) next_tables;
    std::vector<bool> labelled(backends.incarnation().size(), false);
    for (const contract::BackendSet& given : state.backend_sets) {
        balancing::BackendSet set;
        BackendSetLabel label{given.name, {}};
        set.family = given.family;
        for (const contract::Backend& backend : canonical(given.backends)) {
            const auto slot = backends.take({backend.address, backend.port});
            if (!slot) {
                faults.push_back({"/backend_sets", "more different backends than the dataplane's limit of " +
                                                       std::to_string(backends.incarnation().size()) +
                                                       " (slots of removed ones are free from the next state on)"});
                return;
            }
            set.backends.push_back(
                {backend.address, to_be(backend.port), *slot, backends.incarnation()[*slot], backend.weight});
            label.backends.push_back(backend.name);
            if (!labelled[*slot]) {
                labelled[*slot] = true;
                snapshot.backend_labels.push_back({*slot, given.name, backend.name, backend.address, backend.port});
            }
        }
        set.table = table_for(set, next_tables);
        snapshot.sets.push_back(std::move(set));
        snapshot.set_labels.push_back(std::move(label));
    }
    tables = std::move(next_tables);
}

void Builder::State::build_services(const contract::ForwardingState& state, ForwardingSnapshot& snapshot,
                                    std::vector<contract::Fault>& faults) {
    std::map<std::string_view, std::uint16_t> set_index;
    for (std::size_t i = 0; i < state.backend_sets.size(); ++i) {
        set_index.emplace(state.backend_sets[i].name, static_cast<std::uint16_t>(i));
    }
    std::vector<balancing::ServiceEntry> entries;
    std::vector<IpAddress> vips;
    for (const contract::Service& service : state.services) {
        const auto slot = services.take(identity_of(service));
        if (!slot) {
            faults.push_back({"/services", "more services than the dataplane's limit of " +
                                               std::to_string(services.incarnation().size()) +
                                               " (slots of removed ones are free from the next state on)"});
            return;
        }
        entries.push_back({service.vip, static_cast<std::uint8_t>(service.protocol), services.incarnation()[*slot],
                           to_be(service.port), to_be(service.backend_port), *slot, set_index.at(service.backend_set),
                           service.idle_timeout_seconds});
        vips.push_back(service.vip);
        snapshot.service_labels.push_back({service.name, *slot});
    }
    snapshot.services = balancing::ServiceTable(entries);
    snapshot.vips = balancing::AddressSet(vips);
}

BuildResult Builder::build(const contract::ForwardingState& state) {
    BuildResult result;
    state_->check(state, result.faults);
    if (!result.faults.empty()) return result;

    auto next = std::make_unique<State>(*state_);  // a refused state leaves no trace
    auto snapshot = std::make_shared<ForwardingSnapshot>();
    next->keep_slots(state);
    next->build_sets(state, *snapshot, result.faults);
    next->build_services(state, *snapshot, result.faults);
    if (!result.faults.empty()) return result;
    next->services.end();
    next->backends.end();

    snapshot->generation = state.generation;
    snapshot->snat = balancing::AddressSet(next->snat_addresses);
    for (const IpAddress& address : next->snat_addresses) {
        if (address.is_v4()) {
            std::uint32_t value;
            std::memcpy(&value, address.bytes.data(), sizeof value);
            snapshot->snat_v4.push_back(value);
        } else {
            snapshot->snat_v6.push_back(address.bytes);
        }
    }
    snapshot->service_incarnation = next->services.incarnation();
    snapshot->service_idle_seconds.resize(snapshot->service_incarnation.size());
    for (const balancing::ServiceEntry& service : snapshot->services.services()) {
        snapshot->service_idle_seconds[service.slot] = service.idle_timeout_seconds;
    }
    snapshot->backend_incarnation = next->backends.incarnation();
    state_ = std::move(next);
    result.snapshot = std::move(snapshot);
    return result;
}

}  // namespace guideway::snapshot
