#include "tests/bench/flow/frame.h"

namespace guideway::bench {

std::uint16_t sum16(const std::uint8_t* bytes, std::size_t length, std::uint64_t start) {
    std::uint64_t sum = start;
    for (std::size_t i = 0; i + 1 < length; i += 2) sum += packet::load_raw16(bytes + i);
    if (length % 2 != 0) sum += bytes[length - 1];
    return fold(sum);
}

}  // namespace guideway::bench
