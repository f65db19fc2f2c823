#include "dataplane/balancing/service_table.h"

#include <algorithm>
#include <bit>

namespace guideway::balancing {
namespace {

std::uint32_t v4_be(const IpAddress& address) {
    std::uint32_t value;
    std::memcpy(&value, address.bytes.data(), sizeof value);
    return value;
}

/// A power of two, at least twice `count`: a lookup always meets a free slot, soon.
std::size_t table_size(std::ptrdiff_t count) { return std::bit_ceil(2 * static_cast<std::size_t>(count) + 2); }

}  // namespace

ServiceTable::ServiceTable(std::span<const ServiceEntry> services) : services_(services.begin(), services.end()) {
    const auto v4 = std::count_if(services_.begin(), services_.end(), [](const auto& s) { return s.vip.is_v4(); });
    v4_.resize(table_size(v4));
    v6_.resize(table_size(static_cast<std::ptrdiff_t>(services_.size()) - v4));
    mask_v4_ = v4_.size() - 1;
    mask_v6_ = v6_.size() - 1;
    for (std::uint32_t index = 0; index < services_.size(); ++index) {
        const ServiceEntry& service = services_[index];
        if (find(service.vip, service.protocol, service.port_be) != nullptr) continue;
        const std::uint32_t rest = rest_of(service.protocol, service.port_be);
        if (service.vip.is_v4()) {
            std::uint64_t at = detail::hash_v4(v4_be(service.vip), rest);
            while (v4_[at & mask_v4_].service != kNone) ++at;
            v4_[at & mask_v4_] = {v4_be(service.vip), rest, index};
        } else {
            std::uint64_t at = detail::hash_v6(service.vip.bytes.data(), rest);
            while (v6_[at & mask_v6_].service != kNone) ++at;
            v6_[at & mask_v6_] = {service.vip.bytes, rest, index};
        }
    }
}

const ServiceEntry* ServiceTable::find(const IpAddress& vip, std::uint8_t protocol,
                                       std::uint16_t port_be) const noexcept {
    return vip.is_v4() ? find_v4(v4_be(vip), protocol, port_be) : find_v6(vip.bytes.data(), protocol, port_be);
}

AddressSet::AddressSet(std::span<const IpAddress> addresses) {
    const auto v4 = std::count_if(addresses.begin(), addresses.end(), [](const auto& a) { return a.is_v4(); });
    v4_.resize(table_size(v4));
    v6_.resize(table_size(static_cast<std::ptrdiff_t>(addresses.size()) - v4));
    mask_v4_ = v4_.size() - 1;
    mask_v6_ = v6_.size() - 1;
    for (const IpAddress& address : addresses) {
        if (contains(address)) continue;
        ++size_;
        if (address.is_v4()) {
            std::uint64_t at = detail::hash_v4(v4_be(address), 0);
            while (v4_[at & mask_v4_].used) ++at;
            v4_[at & mask_v4_] = {v4_be(address), true};
        } else {
            std::uint64_t at = detail::hash_v6(address.bytes.data(), 0);
            while (v6_[at & mask_v6_].used) ++at;
            v6_[at & mask_v6_] = {address.bytes, true};
        }
    }
}

bool AddressSet::contains(const IpAddress& address) const noexcept {
    return address.is_v4() ? contains_v4(v4_be(address)) : contains_v6(address.bytes.data());
}

}  // namespace guideway::balancing
