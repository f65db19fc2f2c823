// PlainCursor: reads JSON that keeps to its plainest form straight from the text, without a tree.
//
// Plain: objects whose keys the caller knows, arrays, texts of printable ASCII without an escape, whole numbers without a sign.
// That is how our own programs write. At anything else the cursor gives up, for good, and says nothing: the caller then reads the
// same text with parse_strict() and ObjectReader, which know every form and every fault. So a cursor need not be complete, but
// what it accepts they must accept too, with the same value. Tests and the fuzzer compare the two.
//
// Worked example: {"port": 80}
//   std::uint64_t port = 0;
//   PlainCursor cursor(text);
//   cursor.object([&](std::string_view key) { return key == "port" && cursor.number(port, 65535); }) && cursor.end();
// Each member function answers whether to go on. The caller refuses a key it has had (Seen).
//
// Thread contract: a value of one thread; the text must outlive it and every text read from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace guideway::json {

class PlainCursor {
  public:
    explicit PlainCursor(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

    /// Calls for each member; the call reads the value.
    template <class Member>
    bool object(Member&& member) {
        if (!take('{')) return false;
        if (take('}')) return true;
        do {
            std::string_view key;
            if (!text(key) || !take(':') || !member(key)) return false;
        } while (take(','));
        return take('}');
    }
    /// Calls for each element, at most `most` times.
    template <class Element>
    bool array(std::size_t most, Element&& element) {
        if (!take('[')) return false;
        if (take(']')) return true;
        std::size_t count = 0;
        do {
            if (++count > most || !element()) return false;
        } while (take(','));
        return take(']');
    }
    bool text(std::string_view& out) {
        if (!take('"')) return false;
        const char* const begin = at_;
        while (at_ != end_ && *at_ != '"') {
            const auto byte = static_cast<unsigned char>(*at_);
            if (byte < 0x20 || byte >= 0x7f || byte == '\\') return false;
            ++at_;
        }
        out = {begin, static_cast<std::size_t>(at_ - begin)};
        return take('"');
    }
    /// 0..most; of 19 digits at most, so that nothing overflows.
    bool number(std::uint64_t& out, std::uint64_t most) {
        skip_space();
        const char* const begin = at_;
        std::uint64_t value = 0;
        while (at_ != end_ && *at_ >= '0' && *at_ <= '9' && at_ - begin < 19) {
            value = value * 10 + static_cast<std::uint64_t>(*at_++ - '0');
        }
        out = value;
        // A fraction, an exponent or a further digit is no end of a value: the caller stops there.
        return at_ != begin && (*begin != '0' || at_ - begin == 1) && value <= most;
    }
    bool boolean(bool& out) {
        skip_space();
        const std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
        out = rest.starts_with("true");
        if (!out && !rest.starts_with("false")) return false;
        at_ += out ? 4 : 5;
        return true;
    }
    /// Nothing follows.
    bool end() {
        skip_space();
        return at_ == end_;
    }

  private:
    void skip_space() {
        while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
    }
    bool take(char wanted) {
        skip_space();
        if (at_ == end_ || *at_ != wanted) return false;
        ++at_;
        return true;
    }

    const char* at_;
    const char* end_;
};

/// Which of an object's members were there; none twice.
class Seen {
  public:
    /// False where it was there before.
    bool first(unsigned member) {
        const std::uint32_t bit = 1U << member;
        if ((members_ & bit) != 0) return false;
        members_ |= bit;
        return true;
    }
    /// `members` has a bit for each that must be there.
    bool all(std::uint32_t members) const { return (members_ & members) == members; }

  private:
    std::uint32_t members_ = 0;
};

}  // namespace guideway::json
