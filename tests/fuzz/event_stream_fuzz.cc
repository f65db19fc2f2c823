// Any bytes as an event stream: bounds hold, and the events are the same however the bytes are cut into pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "api/client/sse_parser.h"

namespace {

using guideway::client::SseEvent;
using guideway::client::SseParser;

constexpr SseParser::Limits kLimits{.max_line = 64, .max_event = 128};

struct Outcome {
    std::vector<SseEvent> events;
    std::string error, last_id;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome parse(std::string_view text, std::size_t piece) {
    SseParser parser(kLimits);
    Outcome out;
    while (!text.empty()) {
        parser.feed(text.substr(0, piece), [&](const SseEvent& event) {
            if (event.data.size() > kLimits.max_event || event.type.empty() || event.id.size() > kLimits.max_line) {
                std::abort();
            }
            out.events.push_back(event);
            return true;
        });
        text.remove_prefix(std::min(piece, text.size()));
    }
    out.error = parser.error();
    out.last_id = parser.last_id();
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Outcome whole = parse(text, text.size() + 1);
    if (parse(text, 1) != whole || parse(text, 3) != whole) std::abort();
    return 0;
}
