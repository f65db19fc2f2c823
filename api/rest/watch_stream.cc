#include "api/rest/watch_stream.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "api/resources/problem_codec.h"

namespace guideway::rest {

namespace {

/// Of the present objects are sent at a time.
constexpr std::size_t kPieceBytes = 64U << 10;

std::string event(std::string_view type, const std::uint64_t* id, std::string_view data) {
    std::string out = "event: ";
    out += type;
    if (id != nullptr) out += "\nid: " + std::to_string(*id);
    out += "\ndata: ";
    out += data;
    out += "\n\n";
    return out;
}

std::string_view text_of(ChangeType type) {
    return type == ChangeType::added ? "ADDED" : type == ChangeType::modified ? "MODIFIED" : "DELETED";
}

}  // namespace

WatchStream::WatchStream(std::unique_ptr<Watch> watch, std::optional<WatchStart> start, WatchStreamOptions options)
    : watch_(std::move(watch)), start_(std::move(start)), options_(std::move(options)) {}

std::string WatchStream::bookmark(std::uint64_t revision, bool end_of_start) const {
    return event("BOOKMARK", &revision,
                 R"({"kind":")" + options_.kind + R"(","metadata":{"resourceVersion":")" + std::to_string(revision) +
                     '"' + (end_of_start ? R"(,"annotations":{"k8s.io/initial-events-end":"true"})" : "") + "}}");
}

std::string WatchStream::next_of_start() {
    std::string out;
    while (started_ < start_->objects.size() && out.size() < kPieceBytes) {
        const bool last = started_ + 1 == start_->objects.size();
        out += event("ADDED", last ? &start_->revision : nullptr, shown(std::move(start_->objects[started_++])));
    }
    if (started_ == start_->objects.size()) {
        if (options_.bookmarks) out += bookmark(start_->revision, true);
        start_.reset();
    }
    return out;
}

std::optional<std::string> WatchStream::next(std::chrono::milliseconds wait) {
    if (ended_) return std::nullopt;
    std::string out;
    if (start_) {
        out = next_of_start();
    } else {
        const auto quiet_left =
            std::chrono::duration_cast<std::chrono::milliseconds>(last_sent_ + options_.quiet - Clock::now());
        WatchBatch batch = watch_->next(std::clamp(quiet_left, std::chrono::milliseconds(0), wait));
        for (WatchEvent& one : batch.events) {
            out +=
                event(text_of(one.type), one.last_of_revision ? &one.revision : nullptr, shown(std::move(one.object)));
        }
        if (batch.too_old) {
            ended_ = true;
            out +=
                event("ERROR", nullptr,
                      encode(resources::Problem{410,
                                                "Expired",
                                                "the reader fell behind what is kept of changes; list again and watch "
                                                "from that list's resourceVersion",
                                                {}}));
        } else if (batch.ended) {
            ended_ = true;
            if (out.empty()) return std::nullopt;
        } else if (out.empty() && Clock::now() >= last_sent_ + options_.quiet) {
            out = options_.bookmarks ? bookmark(batch.revision, false) : ":\n\n";
        }
    }
    if (!out.empty()) last_sent_ = Clock::now();
    return out;
}

}  // namespace guideway::rest
