// Writer: JSON as it is written, one line, without a tree. For documents of many thousand members.
//
// The text is what nlohmann's dump() writes of the same members in the same order: no spaces, bad UTF-8 replaced.
//
// Worked example: {"name":"a","ports":[80,443]}
//   Writer out;
//   out.begin_object().key("name").text("a").key("ports").begin_array().number(80).number(443).end_array().end_object();
//   out.take()
// The caller keeps the order of calls; commas are the writer's.
//
// Thread contract: a value of one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace guideway::json {

class Writer {
  public:
    explicit Writer(std::size_t expected_bytes = 0) { out_.reserve(expected_bytes); }

    Writer& begin_object() { return begin('{'); }
    Writer& end_object() { return end('}'); }
    Writer& begin_array() { return begin('['); }
    Writer& end_array() { return end(']'); }
    /// Plain names only: they are written as they are.
    Writer& key(std::string_view name) {
        separate();
        out_.push_back('"');
        out_.append(name);
        out_.append("\":");
        comma_ = false;
        return *this;
    }
    Writer& text(std::string_view value);
    Writer& number(std::uint64_t value);
    Writer& boolean(bool value) { return raw(value ? "true" : "false"); }
    /// A value that is JSON already.
    Writer& raw(std::string_view value) {
        separate();
        out_.append(value);
        comma_ = true;
        return *this;
    }
    std::string take() { return std::move(out_); }

  private:
    void separate() {
        if (comma_) out_.push_back(',');
    }
    Writer& begin(char bracket) {
        separate();
        out_.push_back(bracket);
        comma_ = false;
        return *this;
    }
    Writer& end(char bracket) {
        out_.push_back(bracket);
        comma_ = true;
        return *this;
    }

    std::string out_;
    bool comma_ = false;  ///< before the next value or key
};

/// `line` with line breaks and indentation, for people.
std::string indented(const std::string& line);

}  // namespace guideway::json
