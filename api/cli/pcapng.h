// Pcapng: packets in the form that wireshark and tcpdump read (the IETF draft "PCAP Now Generic"), block by block.
//
// Worked example: file = pcapng_section("guideway 0.1.0") + pcapng_interface("client0 in", 2048) + pcapng_interface("client0 out", 2048)
//   + pcapng_packet({0, time_ns, 54, bytes, "forwarded"}) + ...
// Little endian whatever the machine; interfaces are numbered in the order they are written; time in nanoseconds.
// Thread contract: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace guideway::cli {

struct PcapngPacket {
    std::uint32_t interface = 0;  ///< number
    std::uint64_t time_ns = 0;    ///< since 1970
    std::uint32_t length = 0;     ///< of the whole frame
    std::string_view bytes;       ///< its beginning
    std::string_view comment;     ///< empty: none
    bool outbound = false;
};

std::string pcapng_section(std::string_view application);
std::string pcapng_interface(std::string_view name, std::uint32_t most_bytes);
std::string pcapng_packet(const PcapngPacket& packet);

}  // namespace guideway::cli
