// Any bytes as the answer to a health probe: bounds hold, and what is read is the same however the bytes are cut into pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "controlplane/health/http_answer.h"

namespace {

using guideway::health::HttpAnswer;

struct Outcome {
    HttpAnswer::Progress progress = HttpAnswer::Progress::more;
    int status = 0;
    std::string body;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read(std::string_view text, bool want_body, std::size_t piece) {
    HttpAnswer answer(want_body);
    Outcome out;
    while (!text.empty() && out.progress == HttpAnswer::Progress::more) {
        out.progress = answer.feed(text.substr(0, piece));
        text.remove_prefix(std::min(piece, text.size()));
    }
    if (out.progress == HttpAnswer::Progress::more) out.progress = answer.end();
    const bool bad = out.progress == HttpAnswer::Progress::bad;
    if (out.progress == HttpAnswer::Progress::more || bad == answer.error().empty() || answer.error().size() > 200)
        std::abort();
    if (bad) return out;
    out.status = answer.status();
    out.body = answer.body();
    if (out.status < 200 || out.status > 599 || out.body.size() > HttpAnswer::kMostBytes) std::abort();
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    for (const bool want_body : {false, true}) {
        const Outcome whole = read(text, want_body, text.size() + 1);
        if (read(text, want_body, 1) != whole || read(text, want_body, 5) != whole) std::abort();
        guideway::health::endpoints_of(whole.body);
    }
    guideway::health::endpoints_of(text);
    return 0;
}
