#include "dataplane/packet/port_unreachable.h"

namespace guideway::packet {

Answer build_port_unreachable(std::span<std::uint8_t> out, const std::uint8_t* frame, const ParsedPacket& parsed,
                              const MacAddress& mac) noexcept {
    const IcmpStatement statement = parsed.has_v4 ? IcmpStatement{icmp::kUnreachable, icmp::kPortUnreachableCode}
                                                  : IcmpStatement{icmpv6::kUnreachable, icmpv6::kPortUnreachableCode};
    return build_icmp_answer(out, frame, parsed, mac, statement);
}

}  // namespace guideway::packet
