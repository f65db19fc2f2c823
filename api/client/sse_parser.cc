#include "api/client/sse_parser.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

namespace guideway::client {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::uint32_t kLongestRetry = 600000;

}  // namespace

bool SseParser::feed(std::string_view bytes, const std::function<bool(const SseEvent&)>& on_event) {
    while (!ended_ && !bytes.empty()) {
        if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
            bytes.remove_prefix(1);
            continue;
        }
        const std::size_t end = std::min(bytes.find_first_of("\r\n"), bytes.size());
        if (end > limits_.max_line - line_.size()) {
            error_ = "found a line longer than " + std::to_string(limits_.max_line) + " bytes in an event stream";
            ended_ = true;
            break;
        }
        line_.append(bytes.substr(0, end));
        if (end == bytes.size()) break;
        after_cr_ = bytes[end] == '\r';
        bytes.remove_prefix(end + 1);
        ended_ = !end_line(on_event);
    }
    return !ended_;
}

bool SseParser::end_line(const std::function<bool(const SseEvent&)>& on_event) {
    std::string_view line = line_;
    if (std::exchange(first_line_, false) && line.starts_with(kByteOrderMark)) {
        line.remove_prefix(kByteOrderMark.size());
    }
    bool more = true;
    if (line.empty()) {
        if (std::exchange(has_data_, false)) {
            more = on_event({type_.empty() ? "message" : std::move(type_), std::move(data_), last_id_});
        }
        type_.clear();
        data_.clear();
    } else if (line.front() != ':') {
        const std::size_t colon = line.find(':');
        std::string_view value = colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
        if (value.starts_with(' ')) value.remove_prefix(1);
        more = field(line.substr(0, colon), value);
    }
    line_.clear();
    return more;
}

/// Fields of other names are passed over, as the specification asks.
bool SseParser::field(std::string_view name, std::string_view value) {
    if (name == "data") {
        if (data_.size() + value.size() + 1 > limits_.max_event) {
            error_ = "found an event with more than " + std::to_string(limits_.max_event) + " bytes of data";
            return false;
        }
        if (std::exchange(has_data_, true)) data_ += '\n';
        data_ += value;
    } else if (name == "event") {
        type_ = value;
    } else if (name == "id") {
        if (value.find('\0') == std::string_view::npos) last_id_ = value;
    } else if (name == "retry") {
        std::uint32_t number = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
        if (error == std::errc() && end == value.data() + value.size()) retry_ms_ = std::min(number, kLongestRetry);
    }
    return true;
}

}  // namespace guideway::client
