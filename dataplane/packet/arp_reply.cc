#include "dataplane/packet/arp_reply.h"

#include <cstring>

#include "dataplane/packet/rewrite.h"

namespace guideway::packet {

Answer build_arp_reply(std::uint8_t* frame, std::uint32_t length, const ParsedPacket& parsed,
                       const MacAddress& mac) noexcept {
    std::uint8_t* at = frame + parsed.l2_length;
    if (parsed.kind != PacketKind::arp) return {};
    if (!parsed.has_v4 || load_be16(at + arp::kHardwareType) != arp::kEthernet) {
        return {0, observe::DropReason::arp_bad};
    }
    if (load_be16(at + arp::kOperation) != arp::kRequest || parsed.v4.source == parsed.v4.destination) return {};
    MacAddress asker;
    std::memcpy(asker.data(), at + arp::kSenderMac, asker.size());
    if ((asker[0] & 1U) != 0) return {0, observe::DropReason::arp_bad};

    set_ethernet(frame, asker, mac);
    store_be16(at + arp::kOperation, arp::kReply);
    std::memcpy(at + arp::kSenderMac, mac.data(), mac.size());
    store_raw32(at + arp::kSenderIp, parsed.v4.destination);
    std::memcpy(at + arp::kTargetMac, asker.data(), asker.size());
    store_raw32(at + arp::kTargetIp, parsed.v4.source);
    return {length};
}

}  // namespace guideway::packet
