#include "dataplane/balancing/backend_set.h"

#include <bit>

namespace guideway::balancing {

static_assert(std::endian::native == std::endian::little, "ports are byte-swapped unconditionally");

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
