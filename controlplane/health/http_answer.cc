#include "controlplane/health/http_answer.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

#include <nlohmann/json.hpp>

namespace guideway::health {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kLineEnd = "\r\n";
constexpr std::size_t kShown = 60;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_word(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

/// "HTTP/1.1 200 OK": 200. The text behind the number may be missing.
std::optional<int> status_of(std::string_view line) {
    if (!line.starts_with("HTTP/1.") || line.size() < 12) return std::nullopt;
    if (line[7] < '0' || line[7] > '9' || line[8] != ' ') return std::nullopt;
    if (line.size() > 12 && line[12] != ' ') return std::nullopt;
    int status = 0;
    const auto [end, error] = std::from_chars(line.data() + 9, line.data() + 12, status);
    if (error != std::errc() || end != line.data() + 12 || status < 100 || status > 599) return std::nullopt;
    return status;
}

struct Chunks {
    bool bad = false, complete = false;
    std::string body;
};

/// What there is of a chunked body.
Chunks chunks_of(std::string_view bytes) {
    Chunks out;
    for (;;) {
        const std::size_t line = bytes.find(kLineEnd);
        if (line == std::string_view::npos) return out;
        std::uint64_t size = 0;
        const auto [end, error] = std::from_chars(bytes.data(), bytes.data() + line, size, 16);
        const bool clean = end == bytes.data() + line || *end == ';' || *end == ' ';
        if (error != std::errc() || !clean) {
            out.bad = true;
            return out;
        }
        bytes.remove_prefix(line + kLineEnd.size());
        if (size == 0) {
            out.complete = true;  // trailers say nothing that is wanted
            return out;
        }
        const std::size_t there = static_cast<std::size_t>(std::min<std::uint64_t>(size, bytes.size()));
        out.body += bytes.substr(0, there);
        bytes.remove_prefix(there);
        if (there < size || bytes.size() < kLineEnd.size()) return out;
        if (!bytes.starts_with(kLineEnd)) {
            out.bad = true;
            return out;
        }
        bytes.remove_prefix(kLineEnd.size());
    }
}

}  // namespace

HttpAnswer::Progress HttpAnswer::bad(std::string why) {
    error_ = std::move(why);
    return Progress::bad;
}

HttpAnswer::Progress HttpAnswer::feed(std::string_view bytes) {
    const std::size_t taken = std::min(bytes.size(), kMostBytes - total_);
    total_ += taken;
    bytes_ += bytes.substr(0, taken);
    // Whoever speaks another protocol is found out by his first bytes, not when the probe's time is over.
    constexpr std::string_view kBegin = "HTTP/1.";
    const std::size_t seen = std::min(bytes_.size(), kBegin.size());
    if (!in_body_ && std::string_view(bytes_).substr(0, seen) != kBegin.substr(0, seen)) {
        return bad("the answer is no HTTP: \"" + printable(bytes_, kShown) + "\"");
    }
    while (!in_body_) {
        const Progress progress = head();
        if (progress == Progress::bad) return progress;
        if (progress == Progress::more) {
            if (total_ < kMostBytes) return progress;
            return bad("the answer's head has more than " + std::to_string(kMostBytes) + " bytes");
        }
    }
    if (!want_body_) return Progress::complete;
    const Progress progress = body_so_far(false);
    // Longer than a health check's answer is: the status counts, the body is what came of it.
    return progress == Progress::more && total_ == kMostBytes ? body_so_far(true) : progress;
}

HttpAnswer::Progress HttpAnswer::end() {
    if (in_body_) return body_so_far(true);
    return bad(total_ == 0 ? "the connection was closed without an answer"
                           : "the answer's head is cut short: \"" + printable(bytes_, kShown) + "\"");
}

HttpAnswer::Progress HttpAnswer::head() {
    const std::size_t end = bytes_.find(kHeadEnd, searched_);
    if (end == std::string::npos) {
        searched_ = bytes_.size() < kHeadEnd.size() ? 0 : bytes_.size() - kHeadEnd.size() + 1;
        return Progress::more;
    }
    const std::string_view all = std::string_view(bytes_).substr(0, end + kLineEnd.size());
    const std::size_t line = all.find(kLineEnd);
    const auto status = status_of(all.substr(0, line));
    if (!status) return bad("the answer is no HTTP: \"" + printable(all.substr(0, line), kShown) + "\"");
    if (!read_fields(all.substr(line + kLineEnd.size()))) {
        return bad("the answer's Content-Length is not one number");
    }
    bytes_.erase(0, end + kHeadEnd.size());
    searched_ = 0;
    if (*status >= 200) {
        status_ = *status;
        in_body_ = true;
    } else {
        length_.reset();
        chunked_ = false;
    }
    return Progress::complete;
}

bool HttpAnswer::read_fields(std::string_view fields) {
    while (!fields.empty()) {
        const std::size_t end = fields.find(kLineEnd);
        const std::string_view line = fields.substr(0, end);
        fields.remove_prefix(end == std::string_view::npos ? fields.size() : end + kLineEnd.size());
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        const std::string_view name = line.substr(0, colon);
        const std::string_view value = trimmed(line.substr(colon + 1));
        if (same_word(name, "transfer-encoding")) chunked_ = same_word(value, "chunked");
        if (!same_word(name, "content-length")) continue;
        std::uint64_t length = 0;
        const auto [stop, error] = std::from_chars(value.data(), value.data() + value.size(), length);
        const bool whole = error == std::errc() && stop == value.data() + value.size() && !value.empty();
        if (!whole || (length_ && *length_ != length)) return false;
        length_ = length;
    }
    return true;
}

HttpAnswer::Progress HttpAnswer::body_so_far(bool ended) {
    if (!want_body_) return Progress::complete;
    if (chunked_) {
        Chunks chunks = chunks_of(bytes_);
        if (!chunks.complete && !chunks.bad && !ended) return Progress::more;
        body_ = std::move(chunks.body);
        return Progress::complete;
    }
    // 204 and 304 have no body, whatever their head says.
    const bool none = status_ == 204 || status_ == 304;
    if (!none && !ended && (!length_ || bytes_.size() < *length_)) return Progress::more;
    body_ = none ? std::string() : std::move(bytes_);
    if (length_ && body_.size() > *length_) body_.resize(static_cast<std::size_t>(*length_));
    return Progress::complete;
}

std::optional<std::uint32_t> endpoints_of(std::string_view body) {
    constexpr const char* kField = "localEndpoints";
    // Deep nesting would cost stack in the parser's destructor; the true answer has two levels.
    if (std::count_if(body.begin(), body.end(), [](char c) { return c == '{' || c == '['; }) > 16) return std::nullopt;
    const auto document = nlohmann::json::parse(body, nullptr, false);
    if (!document.is_object()) return std::nullopt;
    const auto at = document.find(kField);
    if (at == document.end() || !at->is_number_unsigned()) return std::nullopt;
    const auto number = at->get<std::uint64_t>();
    if (number > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    return static_cast<std::uint32_t>(number);
}

std::string printable(std::string_view text, std::size_t most) {
    const bool cut = text.size() > most;
    std::string out;
    for (const char c : text.substr(0, most)) out += c >= 0x20 && c < 0x7f && c != '"' && c != '\\' ? c : '.';
    return cut ? out + "..." : out;
}

}  // namespace guideway::health
