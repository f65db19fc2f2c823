// YieldedSet: addresses in use here that were left to another machine on a port's link, since it does not cease to claim them. Who asks for
// one there, by ARP or neighbour discovery, gets no answer from us; packets that arrive all the same are forwarded as ever.
//
// Worked example: {port 0, 203.0.113.10} -> port 0 is silent about 203.0.113.10, port 1 and 203.0.113.11 are as they were.
//
// Thread contract: const once made. Workers get it with their View (publisher.h): null nearly always, a few addresses else. Asking allocates
// nothing.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <utility>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::snapshot {

/// An address on a port's link.
struct Place {
    std::uint16_t port = 0;  ///< index
    IpAddress address;
    friend auto operator<=>(const Place&, const Place&) = default;
};

class YieldedSet {
  public:
    explicit YieldedSet(std::vector<Place> places) : places_(std::move(places)) { std::ranges::sort(places_); }

    bool contains(std::uint16_t port, const IpAddress& address) const noexcept {
        return std::ranges::binary_search(places_, Place{port, address});
    }
    const std::vector<Place>& places() const noexcept { return places_; }

  private:
    std::vector<Place> places_;
};

}  // namespace guideway::snapshot
