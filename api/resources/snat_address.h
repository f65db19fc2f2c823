// SnatAddress: one of the appliance's own addresses from which connections to the nodes are opened. Set in the dataplane's
// configuration, shown here. Thread contract: plain values.
#pragma once

#include <string>

#include "api/contract/ip_address.h"

namespace guideway::resources {

struct SnatAddress {
    IpAddress address;
    friend bool operator==(const SnatAddress&, const SnatAddress&) = default;
};

}  // namespace guideway::resources
