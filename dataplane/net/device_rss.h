// Receive offloads of a device: receive-side scaling asked for and read back, checksums verified by the NIC.
//
// RSS is asked for when the device is configured, and again after its start (key, hash functions, redirection table), since
// drivers differ in which of the two they heed. What counts is what the device then tells.
// Thread contract: main thread, before packets flow.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/net/steering.h"

struct rte_eth_conf;
struct rte_eth_dev_info;

namespace guideway::net {

/// Longer than any device's key; the hash of 36 bytes of input uses the first 40.
using RssKeyBuffer = std::array<std::uint8_t, 256>;

/// Fills in what to ask for with `queues` receive queues. `key` must live as long as `settings`.
void ask_for_offloads(const rte_eth_dev_info& info, unsigned queues, rte_eth_conf& settings, RssKeyBuffer& key);

/// Of the started device: fills the redirection table evenly and reads everything back.
DeviceRss settle_rss(std::uint16_t ethdev, const rte_eth_dev_info& info, unsigned queues);

}  // namespace guideway::net
