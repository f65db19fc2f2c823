// Whole frames through a worker that has connections: nothing crashes, and each packet ends in exactly one place.
//
// Input: frames one after another, each with a byte of instructions (port, time, a change of state) and its length in two bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    worker::testing::LabSettings settings;
    settings.unfinished_checksums = true;
    settings.worker.capacity = {32, 32, 16, 16};
    Lab lab(settings);
    lab.apply(lab.web());
    const Frame syn = lab.establish(40000);
    require(!syn.empty());
    for (unsigned frames = 0; size >= 3 && frames < 64; ++frames) {
        const std::uint8_t instructions = data[0];
        const std::size_t length = std::min<std::size_t>((std::size_t{data[1]} << 8 | data[2]) % 1800, size - 3);
        lab.inject(instructions & 1U, Frame(data + 3, data + 3 + length));
        if ((instructions & 2U) != 0) lab.poll();
        if ((instructions & 4U) != 0) lab.now_ms += 700;
        if ((instructions & 8U) != 0) lab.apply({});
        if ((instructions & 16U) != 0) lab.apply(lab.web());
        data += 3 + length;
        size -= 3 + length;
    }
    for (int i = 0; i < 3; ++i) lab.poll();
    require_balance(lab);
    return 0;
}
