#include "controlplane/kubernetes/client/watch_decoder.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "api/json/parse.h"
#include "controlplane/kubernetes/client/object_meta.h"

namespace guideway::kubernetes {

namespace {

constexpr std::int64_t kLongestRetryAfter = 86400;

std::optional<WatchEventType> parse_type(const std::string& text) {
    if (text == "ADDED") return WatchEventType::added;
    if (text == "MODIFIED") return WatchEventType::modified;
    if (text == "DELETED") return WatchEventType::deleted;
    if (text == "BOOKMARK") return WatchEventType::bookmark;
    if (text == "ERROR") return WatchEventType::error;
    return std::nullopt;
}

}  // namespace

ApiError status_error(const nlohmann::json& object, int code) {
    ApiError error{code, {}, {}, {}};
    if (!object.is_object()) return error;
    const auto text = [&](const char* name) {
        const auto found = object.find(name);
        return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    const auto number = [](const nlohmann::json& from, const char* name) -> std::optional<std::int64_t> {
        const auto found = from.find(name);
        if (found == from.end() || !found->is_number_integer()) return std::nullopt;
        // An unsigned number beyond the signed ones comes out negative, and is none here.
        return found->get<std::int64_t>();
    };
    error.reason = text("reason");
    error.message = text("message");
    if (const auto told = number(object, "code"); told && *told >= 100 && *told <= 599) {
        error.status = static_cast<int>(*told);
    }
    if (const auto details = object.find("details"); details != object.end() && details->is_object()) {
        if (const auto wait = number(*details, "retryAfterSeconds"); wait && *wait > 0) {
            error.retry_after = std::chrono::seconds(std::min(*wait, kLongestRetryAfter));
        }
    }
    return error;
}

bool WatchDecoder::feed(std::string_view bytes, const std::function<bool(WatchEvent&&)>& on_event) {
    while (!ended_ && !bytes.empty()) {
        const std::size_t end = std::min(bytes.find('\n'), bytes.size());
        if (end > limits_.max_line - line_.size()) {
            error_ = "found a line longer than " + std::to_string(limits_.max_line) + " bytes in a watch";
            ended_ = true;
            break;
        }
        if (end == bytes.size()) {
            line_.append(bytes);
            break;
        }
        // Most lines come whole: then nothing is copied.
        if (line_.empty()) {
            ended_ = !end_line(bytes.substr(0, end), on_event);
        } else {
            line_.append(bytes.substr(0, end));
            const std::string line = std::exchange(line_, {});
            ended_ = !end_line(line, on_event);
        }
        bytes.remove_prefix(end + 1);
    }
    return !ended_;
}

bool WatchDecoder::end_line(std::string_view line, const std::function<bool(WatchEvent&&)>& on_event) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return true;
    auto document = json::parse_strict(line, {.bytes = limits_.max_line, .depth = limits_.depth});
    if (!document.ok()) {
        error_ =
            "found a line that is no event: " + document.faults.front().field + " " + document.faults.front().message;
        return false;
    }
    nlohmann::json& event = *document.value;
    const auto type = event.is_object() ? event.find("type") : event.end();
    if (!event.is_object() || type == event.end() || !type->is_string()) {
        error_ = "found a line without a type, allowed {\"type\": ..., \"object\": ...}";
        return false;
    }
    const std::optional<WatchEventType> known = parse_type(type->get_ref<const std::string&>());
    if (!known) return true;
    const auto object = event.find("object");
    if (object == event.end() || !object->is_object()) {
        error_ = "found an event " + type->get<std::string>() + " without an object";
        return false;
    }
    WatchEvent out;
    out.type = *known;
    out.object = std::move(*object);
    if (*known == WatchEventType::error) {
        out.error = status_error(out.object, 0);
        if (out.error.reason.empty()) out.error.reason = "UnexpectedAnswer";
    } else {
        out.resource_version = read_meta(out.object).resource_version;
    }
    return on_event(std::move(out));
}

}  // namespace guideway::kubernetes
