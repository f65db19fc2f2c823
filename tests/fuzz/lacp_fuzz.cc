// Any frames as a partner's LACPDUs, in any order, beside links that come and go and time that passes: bounds hold, what is read is what is
// written, and whoever carries has a link and a partner.
//
// Input: steps. A byte says which member and what happens (a frame of so many bytes, a link, time); the rest is its data.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/net/lacp.h"

namespace {

namespace lacp = guideway::net::lacp;

constexpr std::size_t kMembers = 3;
constexpr guideway::snapshot::MacAddress kOurs{2, 0, 0, 0, 0, 1};

void require(bool condition) {
    if (!condition) std::abort();
}

void check(const lacp::Aggregator& bond, const std::vector<bool>& links) {
    bool any = false;
    for (std::size_t i = 0; i < kMembers; ++i) {
        require(!bond.distributing(i) || (bond.collecting(i) && links[i] && bond.partner(i)));
        any = any || bond.distributing(i);
    }
    require(!any || bond.system_carried());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    lacp::Aggregator bond(kOurs, kMembers, true);
    std::vector<bool> links(kMembers, false);
    lacp::TimePoint now{std::chrono::hours(1)};
    for (std::size_t at = 0; at < size;) {
        const std::uint8_t step = data[at++];
        const std::size_t member = (step >> 2U) % kMembers;
        switch (step & 3U) {
            case 0:
                links[member] = !links[member];
                bond.set_link(member, links[member], now);
                break;
            case 1:
                now += std::chrono::milliseconds(std::uint64_t{step} * 20);
                bond.tick(now);
                break;
            default: {
                const std::size_t length =
                    std::min<std::size_t>(size - at, (step & 1U) != 0 ? lacp::kFrameBytes : step);
                // Exactly as long as the frame, on the heap, so that the sanitizer sees one byte too many.
                const auto frame = std::make_unique<std::uint8_t[]>(length);
                std::copy_n(data + at, length, frame.get());
                at += length;
                const auto pdu = lacp::read({frame.get(), length});
                if (!pdu) break;
                std::uint8_t again[lacp::kFrameBytes];
                lacp::write(again, kOurs, *pdu);
                require(lacp::read(again) == pdu);
                bond.receive(member, *pdu, now);
            }
        }
        check(bond, links);
        for (std::size_t i = 0; i < kMembers; ++i) {
            for (unsigned sent = 0; bond.due(i, now); ++sent) {
                require(sent < 4);  // a few a second, whatever comes
                bond.sent(i, now);
            }
        }
    }
    return 0;
}
