// SseParser: bytes of a text/event-stream, in pieces of any size, to events (WHATWG HTML, section 9.2.6).
//
// Terms. Event: lines up to an empty line, with data; without data it is none. Last id: the last `id` field seen, also of an
// event before: where a reader takes up again. Comment: a line that begins with ':'; servers send them to show that they live.
//
// Worked example. "id: 12\nevent: ADDED\ndata: {\"kind\":\"Node\"}\n\n: still here\n" gives one event
//     {type "ADDED", data "{\"kind\":\"Node\"}", id "12"}; last_id() is "12" then.
//
// A stream is bounded: a line longer than max_line, or an event with more data than max_event bytes, ends it with an error (nothing
// after it is read). Bytes that are no UTF-8 are the JSON reader's to refuse.
// Thread contract: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace guideway::client {

struct SseEvent {
    std::string type;  ///< "message" where the stream names none
    std::string data;  ///< lines joined by '\n'
    std::string id;    ///< the last id up to and with this event; empty: none yet
    friend bool operator==(const SseEvent&, const SseEvent&) = default;
};

class SseParser {
  public:
    struct Limits {
        std::size_t max_line = 2U << 20;   ///< bytes without the line's end
        std::size_t max_event = 4U << 20;  ///< bytes of data of one event
    };

    SseParser() = default;
    explicit SseParser(Limits limits) : limits_(limits) {}

    /// False: the stream is over; by `on_event` (which said so by returning false) or by error().
    bool feed(std::string_view bytes, const std::function<bool(const SseEvent&)>& on_event);

    /// A sentence, where the stream broke its bounds.
    const std::string& error() const { return error_; }
    const std::string& last_id() const { return last_id_; }
    /// The pause before a reconnection that the server asked for last, in milliseconds (at most ten minutes).
    std::optional<std::uint32_t> retry_ms() const { return retry_ms_; }

  private:
    bool end_line(const std::function<bool(const SseEvent&)>& on_event);
    bool field(std::string_view name, std::string_view value);

    Limits limits_;
    std::string line_;
    std::string type_, data_, last_id_;
    bool has_data_ = false;
    bool after_cr_ = false;   ///< a '\n' now belongs to the '\r' before it
    bool first_line_ = true;  ///< may begin with a byte order mark
    bool ended_ = false;
    std::optional<std::uint32_t> retry_ms_;
    std::string error_;
};

}  // namespace guideway::client
