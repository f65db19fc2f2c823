// Whole frames through a worker with a populated table: nothing crashes, each packet ends in exactly one place, the table stays
// consistent and no packet buffer is lost (the Lab's destructor is the judge, and here it aborts).
//
// Connections that are there: of each IP family TCP opening, established, half closed, in TIME_WAIT and reset, UDP with an answer
// and without.
//
// Input: frames one after another, each with a byte of instructions and a length in two bytes, then so many bytes.
//   bit 0    the port: 0 clients, 1 nodes         bit 1    poll after it
//   bit 2    700 ms go by, with bit 5 an hour     bit 3    the state becomes empty, bit 4 whole again
//   bit 6    the bytes are not a frame but changes of one of a connection's: which, then (offset, value) pairs
//   bit 7    with bit 6: the IPv4 header's checksum is put right
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include <gtest/gtest.h>

#include "dataplane/packet/checksum.h"
#include "tests/packet/worker_lab.h"

using namespace guideway;
using namespace guideway::worker::testing;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

/// I4: as many in as out.
void require_balance(const Lab& lab) {
    const observe::WorkerTotals& t = lab.totals();
    std::uint64_t out = t.tx_packets.read() + t.to_kernel.read() + t.handed_over.read() + t.pending.read();
    for (std::size_t i = 0; i < observe::kDropReasonCount; ++i) out += lab.dropped(static_cast<observe::DropReason>(i));
    require(t.rx_packets.read() + t.from_kernel.read() + t.taken_over.read() + t.answers.read() == out);
}

/// A connection's packets, both ways.
struct Templates {
    std::vector<Frame> from_client;
    std::vector<Frame> from_backend;
};

Templates populate(Lab& lab) {
    using namespace packet;
    constexpr auto kFinAck = static_cast<std::uint8_t>(tcp::kFin | tcp::kAck);
    Templates templates;
    for (const bool v6 : {false, true}) {
        const auto segment = [&](std::uint16_t port, std::uint8_t flags) {
            return PacketBuilder()
                .ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip)
                .tcp(port, 80, flags)
                .payload(8)
                .build();
        };
        for (std::uint16_t port = 40000; port < 40005; ++port) {
            const Frame syn = lab.pass(kClientPort, segment(port, tcp::kSyn));
            require(!syn.empty());
            templates.from_client.push_back(segment(port, tcp::kAck));
            templates.from_backend.push_back(lab.reply_to(syn, tcp::kAck));
            if (port == 40000) continue;
            require(!lab.pass(kNodePort, lab.reply_to(syn)).empty());
            require(!lab.pass(kClientPort, segment(port, tcp::kAck)).empty());
            if (port == 40002 || port == 40003) lab.pass(kClientPort, segment(port, kFinAck));
            if (port == 40003) lab.pass(kNodePort, lab.reply_to(syn, kFinAck));
            if (port == 40004) lab.pass(kClientPort, segment(port, tcp::kRst));
        }
        for (std::uint16_t port = 40000; port < 40002; ++port) {
            const Frame datagram =
                PacketBuilder().ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip).udp(port, 53).payload(8).build();
            const Frame query = lab.pass(kClientPort, datagram);
            require(!query.empty());
            templates.from_client.push_back(datagram);
            templates.from_backend.push_back(lab.reply_to(query));
            if (port == 40000) require(!lab.pass(kNodePort, lab.reply_to(query)).empty());
        }
    }
    require(lab.connections() == 14);
    return templates;
}

/// `bytes`: which, then (offset, value) pairs.
Frame changed(const std::vector<Frame>& templates, const std::uint8_t* bytes, std::size_t size, bool mend) {
    if (size == 0) return templates.front();
    Frame frame = templates[bytes[0] % templates.size()];
    for (std::size_t i = 1; i + 1 < size; i += 2) frame[bytes[i] % frame.size()] = bytes[i + 1];
    if (mend && frame.size() >= 34) {
        const std::uint16_t sum = packet::ipv4_header_checksum(frame.data() + 14, 20);
        packet::store_raw16(frame.data() + 14 + packet::ipv4::kChecksum, sum);
    }
    return frame;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    GTEST_FLAG_SET(break_on_failure, true);
    worker::testing::LabSettings settings;
    settings.unfinished_checksums = true;
    settings.worker.capacity = {32, 32, 8, 16, 16};
    Lab lab(settings);
    lab.apply(lab.web());
    const Templates templates = populate(lab);
    for (unsigned frames = 0; size >= 3 && frames < 64; ++frames) {
        const std::uint8_t instructions = data[0];
        const std::size_t length = std::min<std::size_t>((std::size_t{data[1]} << 8 | data[2]) % 1800, size - 3);
        const std::uint16_t port = instructions & 1U;
        if ((instructions & 0x40U) != 0) {
            const auto& known = port == kClientPort ? templates.from_client : templates.from_backend;
            const Frame frame = changed(known, data + 3, length, (instructions & 0x80U) != 0);
            lab.inject(port, frame);
        } else {
            lab.inject(port, Frame(data + 3, data + 3 + length));
        }
        if ((instructions & 2U) != 0) lab.poll();
        if ((instructions & 4U) != 0) lab.now_ms += (instructions & 32U) != 0 ? 3'600'000 : 700;
        if ((instructions & 8U) != 0) lab.apply({});
        if ((instructions & 16U) != 0) lab.apply(lab.web());
        data += 3 + length;
        size -= 3 + length;
    }
    for (int i = 0; i < 3; ++i) lab.poll();
    require_balance(lab);
    return 0;
}
