// Side: of the two networks that an appliance may keep apart, clients' and nodes'; each with routes and addresses of its own.
//
// Terms. Apart: the configuration gives every port a side; the two meet in the connections of workers and nowhere else. Where they are not
// apart there is one network, and every port is of the first side.
// A side's number is that of the half of a flow entry whose packets come from it (flow/flow_entry.h): a packet that comes by a port of one side
// and matches the other's half is forged or astray.
// Thread contract: constants.
#pragma once

#include <cstddef>
#include <cstdint>

namespace guideway::snapshot {

enum class Side : std::uint8_t { clients = 0, nodes = 1 };

inline constexpr std::size_t kSides = 2;

/// Where packets of a half of a flow entry are sent to: to the other half's side.
constexpr Side side_beyond(unsigned half) noexcept { return half == 0 ? Side::nodes : Side::clients; }

constexpr std::size_t number_of(Side side) noexcept { return static_cast<std::size_t>(side); }

}  // namespace guideway::snapshot
