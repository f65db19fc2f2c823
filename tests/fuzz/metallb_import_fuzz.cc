// The importer of MetalLB's configuration on any bytes: no crash; errors and nothing written, or pools that our own reader takes and gives
// again, with no address in two of them; each object has a report.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string_view>
#include <variant>

#include "api/cli/metallb/import.h"
#include "api/cli/metallb/ranges.h"
#include "api/resources/address_pool_codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace guideway;
    using namespace guideway::cli::metallb;
    if (size > 8192) return 0;
    Configuration found;
    read_configuration(std::string_view(reinterpret_cast<const char*>(data), size), "input", found);
    const std::vector<resources::AddressPool> pools = pools_of(found, size % 2 == 0 ? "" : "prod");
    if (!found.errors.empty() && !pools.empty()) std::abort();
    if (found.errors.empty() && found.reports.empty()) std::abort();
    TakenRanges taken;
    for (const resources::AddressPool& pool : pools) {
        const auto again = resources::decode_address_pool(wish_of(pool), pool.metadata.name);
        if (!again.ok() || *again.value != pool) std::abort();
        for (const std::string& text : pool.spec.addresses) {
            const auto parsed = parse_range(text);
            if (!std::holds_alternative<ParsedRange>(parsed)) std::abort();
            if (!taken.take(std::get<ParsedRange>(parsed).range, pool.metadata.name).conflicts.empty()) std::abort();
        }
    }
    std::ostringstream report;
    print_report(report, found.reports);
    return 0;
}
