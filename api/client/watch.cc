#include "api/client/watch.h"

#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

#include "api/client/sse_parser.h"
#include "api/resources/problem_codec.h"

namespace guideway::client {

using resources::Problem;

namespace {

Problem unreadable(const std::string& server, const std::string& what) {
    return {0, "UnexpectedAnswer", server + " sent events that this version cannot read: " + what, {}};
}

std::optional<ChangeType> parse_type(const std::string& text) {
    if (text == "ADDED") return ChangeType::added;
    if (text == "MODIFIED") return ChangeType::modified;
    if (text == "DELETED") return ChangeType::deleted;
    if (text == "BOOKMARK") return ChangeType::bookmark;
    return std::nullopt;
}

std::optional<std::uint64_t> parse_revision(const std::string& text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// What passes by waiting: a server that is away, restarting or busy.
bool passes(const Problem& problem) {
    if (problem.status == 0) {
        return problem.reason == "Unreachable" || problem.reason == "ConnectionLost" || problem.reason == "Timeout";
    }
    return problem.status == 429 || problem.status >= 500;
}

/// One connection's worth.
class Stream {
  public:
    Stream(const std::string& server, const WatchHandler& handler, std::uint64_t& revision)
        : server_(server), handler_(handler), revision_(revision) {}

    bool take(std::string_view bytes) {
        if (!std::exchange(connected_, true) && handler_.on_connected) handler_.on_connected();
        return parser_.feed(bytes, [this](const SseEvent& event) { return take(event); });
    }
    bool connected() const { return connected_; }

    /// Why nothing more is wanted.
    std::optional<Problem> end() const {
        if (!parser_.error().empty()) return unreadable(server_, parser_.error());
        return end_;
    }

  private:
    bool take(const SseEvent& event) {
        if (event.type == "ERROR") {
            auto problem = resources::read_problem(event.data);
            end_ = problem.ok() ? *std::move(problem.value) : unreadable(server_, "an ERROR without a problem");
            return false;
        }
        const std::optional<ChangeType> type = parse_type(event.type);
        if (!type) return true;  // of a newer server
        if (!event.id.empty()) {
            const auto revision = parse_revision(event.id);
            if (!revision) {
                end_ = unreadable(server_, "found the id \"" + event.id.substr(0, 40) + "\", allowed a number");
                return false;
            }
            revision_ = *revision;
        }
        if (handler_.on_change({*type, revision_, *type == ChangeType::bookmark ? std::string() : event.data})) {
            return true;
        }
        end_ = Problem{0, "Cancelled", "the watch was ended", {}};
        return false;
    }

    const std::string& server_;
    const WatchHandler& handler_;
    std::uint64_t& revision_;
    SseParser parser_;
    bool connected_ = false;
    std::optional<Problem> end_;
};

}  // namespace

Problem watch(Transport& transport, const std::string& path, std::uint64_t revision, const WatchHandler& handler) {
    const Options& options = transport.options();
    Backoff backoff(options.first_pause, options.longest_pause);
    const char joint = path.find('?') == std::string::npos ? '?' : '&';
    while (true) {
        Stream stream(options.server, handler, revision);
        Request request;
        request.path = path + joint + "watch=true&allowBookmarks=true&resourceVersion=" + std::to_string(revision);
        request.accept = "text/event-stream";
        request.endless = true;
        request.read_timeout = options.watch_silence;
        request.sink = [&](std::string_view bytes) { return stream.take(bytes); };
        const resources::Result<Answer> answer = transport.ask(request);
        if (transport.cancelled()) return {0, "Cancelled", "the watch was cancelled", {}};
        if (const auto end = stream.end(); end && !passes(*end)) return *end;
        std::optional<Problem> trouble = stream.end();
        if (!trouble && !answer.ok()) {
            trouble = answer.problem();
        } else if (!trouble && !answer.value().ok()) {
            trouble = transport.problem_of(answer.value());
        } else if (!trouble && !answer.value().content_type.starts_with("text/event-stream")) {
            trouble = unreadable(options.server, "found the content type \"" + answer.value().content_type +
                                                     "\", allowed text/event-stream");
        }
        if (trouble) {
            if (!passes(*trouble)) return *trouble;
            if (handler.on_trouble) handler.on_trouble(*trouble);
        }
        if (stream.connected()) backoff.reset();
        if (!transport.sleep(backoff.pause(transport.random()))) return {0, "Cancelled", "the watch was cancelled", {}};
    }
}

}  // namespace guideway::client
