#include "dataplane/balancing/backend_set.h"

#include <algorithm>
#include <bit>

namespace guideway::balancing {

static_assert(std::endian::native == std::endian::little, "ports are byte-swapped unconditionally");

namespace {

int order_of(const BackendEntry& backend, const IpAddress& address, std::uint16_t port_be) noexcept {
    const int order = std::memcmp(backend.address.bytes.data(), address.bytes.data(), address.bytes.size());
    return order != 0 ? order : static_cast<int>(backend.port_be) - static_cast<int>(port_be);
}

}  // namespace

void BackendSet::index_identities() {
    by_identity.resize(backends.size());
    for (std::size_t i = 0; i < by_identity.size(); ++i) by_identity[i] = static_cast<std::uint16_t>(i);
    std::sort(by_identity.begin(), by_identity.end(), [this](std::uint16_t a, std::uint16_t b) {
        return order_of(backends[a], backends[b].address, backends[b].port_be) < 0;
    });
}

const BackendEntry* BackendSet::find(const IpAddress& address, std::uint16_t port_be, std::size_t hint) const noexcept {
    if (address.family != family) return nullptr;
    if (hint < backends.size() && order_of(backends[hint], address, port_be) == 0) return &backends[hint];
    const auto at = std::lower_bound(by_identity.begin(), by_identity.end(), 0, [&](std::uint16_t position, int) {
        return order_of(backends[position], address, port_be) < 0;
    });
    if (at == by_identity.end() || order_of(backends[*at], address, port_be) != 0) return nullptr;
    return &backends[*at];
}

std::vector<Member> members_of(const std::vector<BackendEntry>& backends) {
    std::vector<Member> result;
    result.reserve(backends.size());
    for (const BackendEntry& backend : backends) {
        result.push_back({backend.slot, backend.incarnation, backend.weight == 0, backend.closed});
    }
    const auto before = [](const Member& a, const Member& b) { return a.slot < b.slot; };
    if (!std::is_sorted(result.begin(), result.end(), before)) std::sort(result.begin(), result.end(), before);
    return result;
}

std::vector<MaglevBackend> maglev_backends(const std::vector<BackendEntry>& backends) {
    std::vector<MaglevBackend> result;
    result.reserve(backends.size());
    for (const BackendEntry& backend : backends) {
        const auto port = static_cast<std::uint16_t>(backend.port_be << 8 | backend.port_be >> 8);
        result.push_back({backend.address, port, backend.weight});
    }
    return result;
}

}  // namespace guideway::balancing
