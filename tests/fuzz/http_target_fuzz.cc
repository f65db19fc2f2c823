// The request target's parser: any bytes; a target that is taken has no control characters and unique parameters.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "api/rest/target.h"

namespace {

void require_printable(const std::string& text) {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const guideway::rest::ParsedTarget parsed =
        guideway::rest::parse_target({reinterpret_cast<const char*>(data), size});
    if (parsed.target.has_value() == !parsed.error.empty()) std::abort();
    if (!parsed.target) return 0;
    for (const std::string& segment : parsed.target->segments) require_printable(segment);
    std::set<std::string> names;
    for (const auto& [name, value] : parsed.target->query) {
        require_printable(name);
        require_printable(value);
        if (!names.insert(name).second) std::abort();
    }
    return 0;
}
