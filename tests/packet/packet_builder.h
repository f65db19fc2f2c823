// PacketBuilder: frames for tests, written layer by layer, with right lengths and checksums unless a test spoils them.
//
// Worked example:
//   Frame syn = PacketBuilder().vlan(5).ipv4("198.51.100.7", "203.0.113.10").tcp(40000, 80, tcp::kSyn).build();
//   Frame bad = PacketBuilder().ipv4("198.51.100.7", "203.0.113.10").ttl(1).udp(4000, 53).payload(100).build();
//
// Each layer's setter follows the layer. What is not given: MACs kClientMac -> kOurMac, TTL 64, sequence 1000, no payload.
// A frame of the builder has no Ethernet padding unless asked for. Thread contract: none shared.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/packet/five_tuple.h"
#include "dataplane/packet/wire.h"

namespace guideway::packet::testing {

using Frame = std::vector<std::uint8_t>;

inline constexpr MacAddress kOurMac{0x02, 0, 0, 0, 0, 0x01};
inline constexpr MacAddress kClientMac{0x02, 0, 0, 0, 0, 0xc1};
inline constexpr MacAddress kBroadcastMac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

class PacketBuilder {
  public:
    PacketBuilder& ethernet(const MacAddress& destination, const MacAddress& source);
    /// Once: 802.1Q (0x8100). Twice: QinQ, the first becomes 0x88a8.
    PacketBuilder& vlan(std::uint16_t tci);
    /// Pads the frame with zeros to this length behind the IP packet.
    PacketBuilder& pad_to(std::size_t frame_length);

    PacketBuilder& ipv4(std::string_view source, std::string_view destination);
    PacketBuilder& ipv6(std::string_view source, std::string_view destination);
    /// By the addresses' family.
    PacketBuilder& ip(std::string_view source, std::string_view destination);
    /// TTL or hop limit.
    PacketBuilder& ttl(std::uint8_t value);
    /// IPv4 options, padded to 4 bytes with end-of-options.
    PacketBuilder& ipv4_options(std::span<const std::uint8_t> bytes);
    /// The raw fragment field: flags and offset in 8-byte units.
    PacketBuilder& ipv4_fragment(std::uint16_t field);
    /// An IPv6 extension header: `body` is all behind the next-header byte; the length byte inside is the test's own.
    PacketBuilder& extension(std::uint8_t type, std::span<const std::uint8_t> body);
    /// An 8-byte hop-by-hop, destination options or similar header full of padding.
    PacketBuilder& padding_extension(std::uint8_t type);
    PacketBuilder& routing(std::uint8_t segments_left);
    /// IPv6 fragment header, `offset` in 8-byte units.
    PacketBuilder& ipv6_fragment(std::uint16_t offset, bool more);

    PacketBuilder& tcp(std::uint16_t source_port, std::uint16_t destination_port, std::uint8_t flags);
    PacketBuilder& sequence(std::uint32_t sequence, std::uint32_t acknowledgement);
    /// Padded to 4 bytes.
    PacketBuilder& tcp_options(std::span<const std::uint8_t> bytes);
    PacketBuilder& udp(std::uint16_t source_port, std::uint16_t destination_port);
    /// UDP over IPv4 without checksum.
    PacketBuilder& no_checksum();
    /// As a veth peer with transmit offload leaves it: only the pseudo header's sum in the field.
    PacketBuilder& unfinished_checksum();
    PacketBuilder& sctp(std::uint16_t source_port, std::uint16_t destination_port, std::uint32_t verification_tag);
    /// Adds a chunk to the SCTP packet; its length is written, padding added.
    PacketBuilder& chunk(std::uint8_t type, std::span<const std::uint8_t> value = {}, std::uint8_t flags = 0);
    /// ICMP or ICMPv6 by the IP family; `rest` is the word behind the checksum.
    PacketBuilder& icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest = 0);
    PacketBuilder& echo_request(std::uint16_t identifier, std::uint16_t sequence);
    /// Neighbour solicitation for `target` with a source link-layer option if `mac` is given; sets hop limit 255.
    PacketBuilder& neighbour_solicitation(std::string_view target, std::optional<MacAddress> mac);
    /// Any other protocol.
    PacketBuilder& protocol(std::uint8_t number);
    /// `size` bytes 0, 1, 2, ... behind all headers.
    PacketBuilder& payload(std::size_t size);
    PacketBuilder& payload(std::span<const std::uint8_t> bytes);

    /// An ARP request from `sender` (with kClientMac) for `target`, broadcast unless ethernet() was called.
    PacketBuilder& arp_request(std::string_view sender, std::string_view target);
    /// Anything behind the Ethernet header.
    PacketBuilder& raw(std::uint16_t ethernet_type, std::span<const std::uint8_t> bytes);

    Frame build() const;

  private:
    void append_l4(Frame& packet, std::span<const std::uint8_t> addresses, bool is_v4) const;
    std::uint8_t l4_protocol() const;

    enum class L4 : std::uint8_t { none, tcp, udp, sctp, icmp, other };

    MacAddress destination_mac_ = kOurMac;
    MacAddress source_mac_ = kClientMac;
    bool ethernet_given_ = false;
    std::vector<std::uint16_t> tags_;
    std::size_t pad_to_ = 0;
    std::uint16_t type_ = 0;
    Frame raw_;
    bool is_raw_ = false;

    IpAddress source_;
    IpAddress destination_;
    std::uint8_t ttl_ = 64;
    Frame ipv4_options_;
    std::uint16_t fragment_field_ = ipv4::kDontFragment;
    struct Extension {
        std::uint8_t type;
        Frame body;
    };
    std::vector<Extension> extensions_;

    L4 l4_ = L4::none;
    std::uint8_t protocol_ = 0;
    Frame header_;
    Frame payload_;
    bool no_checksum_ = false;
    bool unfinished_ = false;
};

/// An IPv4 tuple from text and host-order ports.
FiveTupleV4 tuple_v4(std::string_view source, std::uint16_t source_port, std::string_view destination,
                     std::uint16_t destination_port, std::uint8_t protocol);
FiveTupleV6 tuple_v6(std::string_view source, std::uint16_t source_port, std::string_view destination,
                     std::uint16_t destination_port, std::uint8_t protocol);

/// One line of what the frame is, checksums judged, then a hex dump: for failure messages.
std::string describe(std::span<const std::uint8_t> frame);

/// Empty if every checksum (IPv4 header, TCP, UDP, SCTP, ICMP) and length of the frame is right, else what is wrong.
std::string faults(std::span<const std::uint8_t> frame);

}  // namespace guideway::packet::testing
