// Whole frames through a worker with a populated table: nothing crashes, each packet ends in exactly one place, the table stays
// consistent and no packet buffer is lost (the Lab's destructor is the judge, and here it aborts).
//
// What is there, and what bit 6 changes: tests/packet/populated_lab.h.
//
// Input: frames one after another, each with a byte of instructions and a length in two bytes, then so many bytes.
//   bit 0    the port: 0 clients, 1 nodes         bit 1    poll after it
//   bit 2    700 ms go by, with bit 5 an hour     bit 3    the state becomes empty, bit 4 whole again;
//   both: whole, with limits, and the IPv4 VIP refuses in silence
//   bit 6    the bytes are not a frame but changes of one of a connection's: which, then (offset, value) pairs
//   bit 7    the checksums of the IPv4 header and of ICMP are put right
// The length's four highest bits count too: 0x80 puts a VLAN tag into the frame, with 0x40 two; the clients' port has VLANs 5, and 5 in 7.
// 0x20: it comes in several buffers, the first ones short; with 0x10 in two that stay two.
// MSS clamping is on. The table of fragments is small and the MTU towards nodes 600, so that what may be is cut.
// Sources are checked strictly, and the budgets for the kernel and for refusals are small.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include <gtest/gtest.h>

#include "tests/packet/populated_lab.h"

using namespace guideway;
using namespace guideway::worker::testing;

namespace {

/// `bytes`: which, then (offset, value) pairs.
Frame changed(const std::vector<Frame>& templates, const std::uint8_t* bytes, std::size_t size) {
    if (size == 0) return templates.front();
    Frame frame = templates[bytes[0] % templates.size()];
    for (std::size_t i = 1; i + 1 < size; i += 2) frame[bytes[i] % frame.size()] = bytes[i + 1];
    return frame;
}

/// By the two bytes of the length.
Split split_of(std::uint8_t high, std::uint8_t low) {
    if ((high & 0x20U) == 0) return {};
    const auto part = [low](unsigned bound) { return static_cast<std::uint16_t>(low % bound); };
    if ((high & 0x10U) != 0) return {{static_cast<std::uint16_t>(worker::segments::kFrontAndTags + part(64))}, true};
    return {{part(97), part(13), part(5)}};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    GTEST_FLAG_SET(break_on_failure, true);
    worker::testing::LabSettings settings;
    settings.unfinished_checksums = true;
    settings.vlans = vlans_on_client_port();
    settings.worker.capacity = {32, 32, 8, 16, 16};
    settings.worker.mss_clamp.by_mtu = true;
    settings.worker.fragments = {4, 8, 500, 5000};
    settings.source_check = worker::SourceCheck::strict;
    settings.worker.refusals_per_source = 4;
    settings.worker.kernel_packets_per_second = 16;
    Lab lab(settings);
    lab.apply(lab.web());
    lab.routing().ports[kNodePort].mtu = 600;
    lab.publish_routing();
    const Templates templates = populate(lab);
    for (unsigned frames = 0; size >= 3 && frames < 64; ++frames) {
        const std::uint8_t instructions = data[0];
        const std::size_t length = std::min<std::size_t>((std::size_t{data[1]} << 8 | data[2]) % 1800, size - 3);
        const std::uint16_t port = instructions & 1U;
        const bool is_tagged = (data[1] & 0x80U) != 0;
        const bool has_two_tags = (data[1] & 0x40U) != 0;
        const Split split = split_of(data[1], data[2]);
        if ((instructions & 0x40U) != 0) {
            const auto& known = port == kClientPort ? templates.from_client : templates.from_backend;
            Frame frame = changed(known, data + 3, length);
            if ((instructions & 0x80U) != 0) mend_checksums(frame);
            if (is_tagged) put_tags(frame, has_two_tags);
            lab.inject_split(port, frame, split);
        } else {
            Frame frame(data + 3, data + 3 + length);
            if ((instructions & 0x80U) != 0) mend_checksums(frame);
            if (is_tagged) put_tags(frame, has_two_tags);
            lab.inject_split(port, frame, split);
        }
        if ((instructions & 2U) != 0) lab.poll();
        if ((instructions & 4U) != 0) lab.now_ms += (instructions & 32U) != 0 ? 3'600'000 : 700;
        if ((instructions & 24U) == 24U) {
            lab.apply(guarded(lab));
        } else if ((instructions & 8U) != 0) {
            lab.apply({});
        } else if ((instructions & 16U) != 0) {
            lab.apply(lab.web());
        }
        data += 3 + length;
        size -= 3 + length;
    }
    for (int i = 0; i < 3; ++i) lab.poll();
    require_balance(lab);
    return 0;
}
