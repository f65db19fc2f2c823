// The configuration reader takes any bytes: no crash, no exception; what it refuses has a reason.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "api/config/reader.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace guideway::config;
    Document document = Document::from_text({reinterpret_cast<const char*>(data), size}, "fuzz.cfg");
    Section root = document.root();
    if (!root.present() && document.ok()) std::abort();
    Section dataplane = root.required_group("dataplane");
    dataplane.required_string("idle", one_of({"busy", "adaptive"}));
    dataplane.integers("cores", 0, 127);
    dataplane.strings("snat_addresses");
    dataplane.boolean_or("huge_pages", true);
    for (Section& port : dataplane.groups("ports", 1, 32)) {
        port.required_string("name");
        const std::int64_t mtu = port.required_integer("mtu", 1280, 9000);
        if (mtu < 1280 || mtu > 9000) std::abort();
        port.optional_group("kernel").integer_or("queue", 0, 0, 8);
        port.fault("name", 3, "an element that may not be there");
    }
    document.finish();
    for (const Fault& fault : document.faults()) {
        if (fault.message.empty() || to_text(fault).empty()) std::abort();
    }
    return 0;
}
