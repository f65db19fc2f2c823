// What `guideway trace` and `guideway capture` share with their tests: how a filter is typed, and how a packet is shown.
//
// Worked example: "203.0.113.10:80" is an address and a port, "192.0.2.0/24" a prefix and any port, ":80" any address, "[2001:db8::1]:80".
// Thread contract: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "api/contract/tap.h"

namespace guideway::cli {

struct TapEnd {
    std::optional<IpPrefix> prefix;  ///< none: any address
    std::uint16_t port = 0;          ///< 0: any
    friend bool operator==(const TapEnd&, const TapEnd&) = default;
};

/// Nothing: none of the forms above.
std::optional<TapEnd> parse_tap_end(std::string_view text);

/// One packet, its stages, and where it was lost what that means and what to do.
void show_traced(std::ostream& out, const contract::TapRecord& record);

/// The packet's blocks in a pcapng file whose interfaces are, for each of `ports` in order, that port's in and out.
std::string pcapng_of(const contract::TapRecord& record, const std::vector<std::string>& ports);

/// "12 packets shown; ..." with what is missing.
std::string tap_summary(const contract::TapAnswer& last, std::uint64_t shown, const std::string& done);

}  // namespace guideway::cli
