#include "tests/packet/packet_builder.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/unfinished_checksum.h"

namespace guideway::packet::testing {
namespace {

void add8(Frame& frame, unsigned value) { frame.push_back(static_cast<std::uint8_t>(value)); }
void add16(Frame& frame, unsigned value) {
    add8(frame, value >> 8);
    add8(frame, value & 0xff);
}
void add32(Frame& frame, std::uint32_t value) {
    add16(frame, value >> 16);
    add16(frame, value & 0xffff);
}
void add(Frame& frame, std::span<const std::uint8_t> bytes) { frame.insert(frame.end(), bytes.begin(), bytes.end()); }

IpAddress address(std::string_view text) {
    const auto result = IpAddress::parse(text);
    if (!result) {
        std::fprintf(stderr, "PacketBuilder: '%.*s' is no address\n", static_cast<int>(text.size()), text.data());
        std::abort();
    }
    return *result;
}

std::span<const std::uint8_t> bytes_of(const IpAddress& value) { return {value.bytes.data(), value.bits() / 8U}; }

/// Kept apart from the code under test: the plain definition of RFC 1071, byte by byte in host order.
std::uint16_t reference_sum(std::span<const std::uint8_t> bytes, std::uint32_t start) {
    std::uint64_t sum = start;
    for (std::size_t i = 0; i < bytes.size(); ++i) sum += i % 2 == 0 ? bytes[i] * 256U : bytes[i];
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

}  // namespace

PacketBuilder& PacketBuilder::ethernet(const MacAddress& destination, const MacAddress& source) {
    destination_mac_ = destination;
    source_mac_ = source;
    ethernet_given_ = true;
    return *this;
}

PacketBuilder& PacketBuilder::vlan(std::uint16_t tci) {
    tags_.push_back(tci);
    return *this;
}

PacketBuilder& PacketBuilder::pad_to(std::size_t frame_length) {
    pad_to_ = frame_length;
    return *this;
}

PacketBuilder& PacketBuilder::ipv4(std::string_view source, std::string_view destination) {
    source_ = address(source);
    destination_ = address(destination);
    type_ = ethernet::kTypeIpv4;
    return *this;
}

PacketBuilder& PacketBuilder::ipv6(std::string_view source, std::string_view destination) {
    source_ = address(source);
    destination_ = address(destination);
    type_ = ethernet::kTypeIpv6;
    return *this;
}

PacketBuilder& PacketBuilder::ip(std::string_view source, std::string_view destination) {
    return address(source).is_v4() ? ipv4(source, destination) : ipv6(source, destination);
}

PacketBuilder& PacketBuilder::ttl(std::uint8_t value) {
    ttl_ = value;
    return *this;
}

PacketBuilder& PacketBuilder::ipv4_options(std::span<const std::uint8_t> bytes) {
    ipv4_options_.assign(bytes.begin(), bytes.end());
    while (ipv4_options_.size() % 4 != 0) ipv4_options_.push_back(0);
    return *this;
}

PacketBuilder& PacketBuilder::ipv4_fragment(std::uint16_t field) {
    fragment_field_ = field;
    return *this;
}

PacketBuilder& PacketBuilder::extension(std::uint8_t type, std::span<const std::uint8_t> body) {
    extensions_.push_back({type, Frame(body.begin(), body.end())});
    return *this;
}

PacketBuilder& PacketBuilder::padding_extension(std::uint8_t type) {
    return extension(type, std::array<std::uint8_t, 7>{0, 1, 4, 0, 0, 0, 0});  // one PadN option of 6 bytes
}

PacketBuilder& PacketBuilder::routing(std::uint8_t segments_left) {
    return extension(ipv6::kRouting, std::array<std::uint8_t, 7>{0, 4, segments_left, 0, 0, 0, 0});
}

PacketBuilder& PacketBuilder::ipv6_fragment(std::uint16_t offset, bool more) {
    const unsigned field = offset * 8U + (more ? 1U : 0U);
    return extension(ipv6::kFragmentHeader, std::array<std::uint8_t, 7>{0, static_cast<std::uint8_t>(field >> 8),
                                                                        static_cast<std::uint8_t>(field), 0, 0, 0, 7});
}

PacketBuilder& PacketBuilder::tcp(std::uint16_t source_port, std::uint16_t destination_port, std::uint8_t flags) {
    l4_ = L4::tcp;
    header_.clear();
    add16(header_, source_port);
    add16(header_, destination_port);
    add32(header_, 1000);
    add32(header_, (flags & tcp::kAck) != 0 ? 2000 : 0);
    add8(header_, 5 << 4);
    add8(header_, flags);
    add16(header_, 64240);
    add32(header_, 0);
    return *this;
}

PacketBuilder& PacketBuilder::sequence(std::uint32_t sequence, std::uint32_t acknowledgement) {
    store_be32(header_.data() + tcp::kSequence, sequence);
    store_be32(header_.data() + tcp::kAcknowledgement, acknowledgement);
    return *this;
}

PacketBuilder& PacketBuilder::tcp_options(std::span<const std::uint8_t> bytes) {
    add(header_, bytes);
    while (header_.size() % 4 != 0) add8(header_, 0);
    header_[tcp::kDataOffset] = static_cast<std::uint8_t>(header_.size() / 4 << 4);
    return *this;
}

PacketBuilder& PacketBuilder::udp(std::uint16_t source_port, std::uint16_t destination_port) {
    l4_ = L4::udp;
    header_.clear();
    add16(header_, source_port);
    add16(header_, destination_port);
    add32(header_, 0);
    return *this;
}

PacketBuilder& PacketBuilder::no_checksum() {
    no_checksum_ = true;
    return *this;
}

PacketBuilder& PacketBuilder::unfinished_checksum() {
    unfinished_ = true;
    return *this;
}

PacketBuilder& PacketBuilder::sctp(std::uint16_t source_port, std::uint16_t destination_port,
                                   std::uint32_t verification_tag) {
    l4_ = L4::sctp;
    header_.clear();
    add16(header_, source_port);
    add16(header_, destination_port);
    add32(header_, verification_tag);
    add32(header_, 0);
    return *this;
}

PacketBuilder& PacketBuilder::chunk(std::uint8_t type, std::span<const std::uint8_t> value, std::uint8_t flags) {
    add8(header_, type);
    add8(header_, flags);
    add16(header_, static_cast<unsigned>(value.size() + 4));
    add(header_, value);
    while (header_.size() % 4 != 0) add8(header_, 0);
    return *this;
}

PacketBuilder& PacketBuilder::icmp(std::uint8_t type, std::uint8_t code, std::uint32_t rest) {
    l4_ = L4::icmp;
    header_.clear();
    add8(header_, type);
    add8(header_, code);
    add16(header_, 0);
    add32(header_, rest);
    return *this;
}

PacketBuilder& PacketBuilder::echo_request(std::uint16_t identifier, std::uint16_t sequence) {
    return icmp(source_.is_v4() ? icmp::kEchoRequest : icmpv6::kEchoRequest, 0,
                std::uint32_t{identifier} << 16 | sequence);
}

PacketBuilder& PacketBuilder::neighbour_solicitation(std::string_view target, std::optional<MacAddress> mac) {
    icmp(icmpv6::kNeighbourSolicitation, 0);
    ttl_ = 255;
    add(header_, bytes_of(address(target)));
    if (mac) {
        add8(header_, icmpv6::kSourceLinkLayerOption);
        add8(header_, 1);
        add(header_, *mac);
    }
    return *this;
}

PacketBuilder& PacketBuilder::protocol(std::uint8_t number) {
    l4_ = L4::other;
    protocol_ = number;
    return *this;
}

PacketBuilder& PacketBuilder::payload(std::size_t size) {
    payload_.resize(size);
    for (std::size_t i = 0; i < size; ++i) payload_[i] = static_cast<std::uint8_t>(i);
    return *this;
}

PacketBuilder& PacketBuilder::payload(std::span<const std::uint8_t> bytes) {
    payload_.assign(bytes.begin(), bytes.end());
    return *this;
}

PacketBuilder& PacketBuilder::arp_request(std::string_view sender, std::string_view target) {
    Frame body;
    add16(body, arp::kEthernet);
    add16(body, ethernet::kTypeIpv4);
    add8(body, 6);
    add8(body, 4);
    add16(body, arp::kRequest);
    add(body, source_mac_);
    add(body, bytes_of(address(sender)));
    add(body, MacAddress{});
    add(body, bytes_of(address(target)));
    if (!ethernet_given_) destination_mac_ = kBroadcastMac;
    return raw(ethernet::kTypeArp, body);
}

PacketBuilder& PacketBuilder::raw(std::uint16_t ethernet_type, std::span<const std::uint8_t> bytes) {
    type_ = ethernet_type;
    raw_.assign(bytes.begin(), bytes.end());
    is_raw_ = true;
    return *this;
}

std::uint8_t PacketBuilder::l4_protocol() const {
    switch (l4_) {
        case L4::tcp:
            return protocol::kTcp;
        case L4::udp:
            return protocol::kUdp;
        case L4::sctp:
            return protocol::kSctp;
        case L4::icmp:
            return source_.is_v4() ? protocol::kIcmp : protocol::kIcmpv6;
        case L4::none:
        case L4::other:
            break;
    }
    return protocol_;
}

void PacketBuilder::append_l4(Frame& packet, std::span<const std::uint8_t> addresses, bool is_v4) const {
    Frame l4 = header_;
    add(l4, payload_);
    const auto length = static_cast<std::uint32_t>(l4.size());
    if (l4_ == L4::udp) store_be16(l4.data() + udp::kLength, static_cast<std::uint16_t>(length));
    const bool pseudo_needed = l4_ != L4::icmp || !is_v4;
    const std::uint16_t pseudo =
        pseudo_needed ? reference_sum(addresses, (length >> 16) + (length & 0xffff) + l4_protocol()) : 0;
    const std::size_t at = l4_ == L4::tcp ? tcp::kChecksum : l4_ == L4::udp ? udp::kChecksum : icmp::kChecksum;
    if (l4_ == L4::sctp) {
        sctp_store_checksum(l4);
    } else if ((l4_ == L4::tcp || l4_ == L4::udp || l4_ == L4::icmp) && !no_checksum_) {
        auto field = static_cast<std::uint16_t>(~reference_sum(l4, pseudo));
        if (l4_ == L4::udp && field == 0) field = 0xffff;
        store_be16(l4.data() + at, unfinished_ ? pseudo : field);
    }
    add(packet, l4);
}

Frame PacketBuilder::build() const {
    Frame frame;
    add(frame, destination_mac_);
    add(frame, source_mac_);
    for (std::size_t i = 0; i < tags_.size(); ++i) {
        add16(frame, i + 1 < tags_.size() ? ethernet::kTypeQinq : ethernet::kTypeVlan);
        add16(frame, tags_[i]);
    }
    add16(frame, type_);
    const std::size_t l3 = frame.size();
    Frame addresses(bytes_of(source_).begin(), bytes_of(source_).end());
    add(addresses, bytes_of(destination_));
    if (is_raw_) {
        add(frame, raw_);
    } else if (type_ == ethernet::kTypeIpv4) {
        const auto header_length = static_cast<unsigned>(ipv4::kHeaderSize + ipv4_options_.size());
        add8(frame, 0x40 | header_length / 4);
        add8(frame, 0);
        add16(frame, static_cast<unsigned>(header_length + header_.size() + payload_.size()));
        add16(frame, 0x1234);
        add16(frame, fragment_field_);
        add8(frame, ttl_);
        add8(frame, l4_protocol());
        add16(frame, 0);
        add(frame, addresses);
        add(frame, ipv4_options_);
        const auto sum = reference_sum(std::span(frame).subspan(l3), 0);
        store_be16(frame.data() + l3 + ipv4::kChecksum, static_cast<std::uint16_t>(~sum));
        append_l4(frame, addresses, true);
    } else if (type_ == ethernet::kTypeIpv6) {
        std::size_t extensions = 0;
        for (const auto& extension : extensions_) extensions += extension.body.size() + 1;
        add32(frame, 0x60000000U);
        add16(frame, static_cast<unsigned>(extensions + header_.size() + payload_.size()));
        add8(frame, extensions_.empty() ? l4_protocol() : extensions_.front().type);
        add8(frame, ttl_);
        add(frame, addresses);
        for (std::size_t i = 0; i < extensions_.size(); ++i) {
            add8(frame, i + 1 < extensions_.size() ? extensions_[i + 1].type : l4_protocol());
            add(frame, extensions_[i].body);
        }
        append_l4(frame, addresses, false);
    }
    if (frame.size() < pad_to_) frame.resize(pad_to_, 0);
    return frame;
}

FiveTupleV4 tuple_v4(std::string_view source, std::uint16_t source_port, std::string_view destination,
                     std::uint16_t destination_port, std::uint8_t protocol) {
    return {to_network(address(source)),
            to_network(address(destination)),
            swap_if_little(source_port),
            swap_if_little(destination_port),
            protocol,
            {}};
}

FiveTupleV6 tuple_v6(std::string_view source, std::uint16_t source_port, std::string_view destination,
                     std::uint16_t destination_port, std::uint8_t protocol) {
    return {address(source).bytes,
            address(destination).bytes,
            swap_if_little(source_port),
            swap_if_little(destination_port),
            protocol,
            {}};
}

std::string faults(std::span<const std::uint8_t> frame) {
    const ParsedPacket parsed = parse(frame.data(), static_cast<std::uint32_t>(frame.size()));
    if (parsed.kind == PacketKind::bad) return std::string(observe::to_string(parsed.reason));
    if (!parsed.has_destination() || parsed.kind == PacketKind::arp || parsed.kind == PacketKind::fragment) return {};
    const auto l4 = frame.subspan(parsed.l4_offset, parsed.l4_length());
    if (parsed.protocol == protocol::kSctp) return sctp_checksum_ok(l4) ? "" : "SCTP checksum";
    const bool is_icmp = parsed.protocol == protocol::kIcmp || parsed.protocol == protocol::kIcmpv6;
    if (!is_icmp && !parsed.is_flow()) return {};
    if (parsed.protocol == protocol::kUdp && load_be16(l4.data() + udp::kChecksum) == 0) {
        return parsed.has_v4 ? "" : "UDP over IPv6 without checksum";
    }
    std::uint32_t start = 0;
    if (parsed.protocol != protocol::kIcmp) {
        const auto addresses =
            frame.subspan(parsed.l2_length + (parsed.has_v4 ? ipv4::kSource : ipv6::kSource), parsed.has_v4 ? 8U : 32U);
        const auto length = static_cast<std::uint32_t>(l4.size());
        start = reference_sum(addresses, (length >> 16) + (length & 0xffff) + parsed.protocol);
    }
    return reference_sum(l4, start) == 0xffff ? "" : is_icmp ? "ICMP checksum" : "TCP or UDP checksum";
}

std::string describe(std::span<const std::uint8_t> frame) {
    static constexpr const char* kKinds[] = {"IPv4 flow",
                                             "IPv6 flow",
                                             "echo request",
                                             "ICMPv6 echo request",
                                             "ICMP",
                                             "ARP",
                                             "neighbour solicitation",
                                             "other IP",
                                             "IP fragment",
                                             "not IP",
                                             "bad"};
    const ParsedPacket parsed = parse(frame.data(), static_cast<std::uint32_t>(frame.size()));
    std::string text = kKinds[static_cast<std::size_t>(parsed.kind)];
    if (parsed.has_destination()) text += " " + parsed.source().to_string() + " -> " + parsed.destination().to_string();
    if (parsed.is_flow()) {
        const auto* l4 = frame.data() + parsed.l4_offset;
        text += " ports " + std::to_string(load_be16(l4)) + " -> " + std::to_string(load_be16(l4 + 2));
    }
    text += " protocol " + std::to_string(parsed.protocol) + " flags " + std::to_string(parsed.tcp_flags) + " TTL " +
            std::to_string(parsed.ttl) + ", " + std::to_string(frame.size()) + " bytes";
    if (const std::string wrong = faults(frame); !wrong.empty()) text += ", WRONG: " + wrong;
    for (std::size_t i = 0; i < frame.size(); ++i) {
        char buffer[32];
        if (i % 16 == 0) {
            std::snprintf(buffer, sizeof buffer, "\n  %04zx ", i);
            text += buffer;
        }
        std::snprintf(buffer, sizeof buffer, " %02x", frame[i]);
        text += buffer;
    }
    return text;
}

}  // namespace guideway::packet::testing
