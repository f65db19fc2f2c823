// Any bytes as a Kubernetes watch: bounds hold, nothing throws, and the events are the same however the bytes are cut into pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "controlplane/kubernetes/client/object_meta.h"
#include "controlplane/kubernetes/client/watch_decoder.h"

namespace {

using guideway::kubernetes::WatchDecoder;
using guideway::kubernetes::WatchEvent;
using guideway::kubernetes::WatchEventType;

constexpr WatchDecoder::Limits kLimits{.max_line = 512, .depth = 12};

struct Outcome {
    std::vector<WatchEvent> events;
    std::string error;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome decode(std::string_view text, std::size_t piece) {
    WatchDecoder decoder(kLimits);
    Outcome out;
    while (!text.empty()) {
        decoder.feed(text.substr(0, piece), [&](WatchEvent&& event) {
            if (!event.object.is_object()) std::abort();
            if ((event.type == WatchEventType::error) == event.error.reason.empty()) std::abort();
            const guideway::kubernetes::ObjectMeta meta = guideway::kubernetes::read_meta(event.object);
            if (event.type != WatchEventType::error && meta.resource_version != event.resource_version) std::abort();
            out.events.push_back(std::move(event));
            return true;
        });
        text.remove_prefix(std::min(piece, text.size()));
    }
    out.error = decoder.error();
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const Outcome whole = decode(text, text.size() + 1);
    if (decode(text, 1) != whole || decode(text, 7) != whole) std::abort();
    return 0;
}
