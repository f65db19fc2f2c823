#include "dataplane/balancing/backend_set.h"

#include <algorithm>
#include <bit>

namespace guideway::balancing {

static_assert(std::endian::native == std::endian::little, "ports are byte-swapped unconditionally");

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
