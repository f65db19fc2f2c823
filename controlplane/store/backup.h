// Backup: the contents of any store as text, to be kept elsewhere and put into any store again.
//
// Format, version 1: lines of JSON, each ended by a line feed; UTF-8.
//   {"format":"guideway-backup","formatVersion":1,"program":"0.1.0","created":"2026-11-27T10:00:00Z","revision":7,"generation":3,
//    "records":2}                                                                    (one line)
//   {"kind":"address-pool","key":"a","revision":5,"document":"{...}"}                 one for each record, sorted by kind and key
//   {"kind":"load-balancer","key":"default/web","revision":7,"document":"{...}"}
//   {"sha256":"<64 hex digits>"}                                                      of all bytes before this line
// The document stands as a text, byte for byte as the store had it. Nothing may follow. It holds the hashes of tokens: keep it as
// closely as the store. Records bound to a lease are not in it.
//
// Worked example:
//   encode(contents, {"0.1.0", now}, [&](std::string_view bytes) { return write_all(file, bytes); });
//   auto decoded = decode(stream);  // Decoded, or "line 3: found ..., allowed ..."
// Both go line by line; what decode() holds is the contents themselves, never more than Limits allow.
// Thread contract: pure functions; the sink is called by the caller's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "controlplane/store/store.h"

namespace guideway::store::backup {

inline constexpr const char* kFormat = "guideway-backup";
inline constexpr std::uint64_t kFormatVersion = 1;

struct About {
    std::string program;  ///< version of the program that made it
    std::string created;  ///< RFC 3339, UTC
};
/// This program, now.
About about_now(std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

/// Takes the next bytes of a backup; false: cannot, and no more shall come.
using Sink = std::function<bool(std::string_view bytes)>;

/// Nothing, or why not: a record whose texts are no UTF-8, or "the backup could not be written" where the sink gave up.
std::optional<std::string> encode(const Contents& contents, const About& about, const Sink& sink);

struct Limits {
    std::size_t line_bytes = std::size_t{64} << 20;  ///< a document of 8 MiB, each byte escaped
    std::uint64_t records = 10'000'000;
    std::uint64_t bytes = std::uint64_t{4} << 30;  ///< of the whole backup
};

struct Decoded {
    Contents contents;
    About about;
};

/// The contents, or a sentence that names the line and what is wrong with it. Everything is checked before anything is given.
std::variant<Decoded, std::string> decode(std::istream& stream, const Limits& limits = {});

}  // namespace guideway::store::backup
