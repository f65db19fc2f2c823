// Counters of the client, for a page of metrics: requests by verb and code (ClientMetrics, one a process), and what each reflector sees
// (ReflectorMetrics, one a kind).
//
// Worked example:
//     metrics.for_each_request([&](std::string_view verb, int code, std::uint64_t count) { ... });  // "patch", 409, 3
//     for (std::size_t i = 0; i < kWatchEnds; ++i) use(to_string(static_cast<WatchEnd>(i)), reflector.metrics().watch_ends[i]);
// Thread contract: any thread; each number is exact by itself, not together with others.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace guideway::kubernetes {

enum class Verb : std::uint8_t { get, list, watch, create, update, patch, remove };
inline constexpr std::size_t kVerbs = 7;

constexpr std::string_view to_string(Verb verb) {
    constexpr std::array<std::string_view, kVerbs> names{"get", "list", "watch", "create", "update", "patch", "delete"};
    return names[static_cast<std::size_t>(verb)];
}

/// Why a watch ended and was taken up anew.
enum class WatchEnd : std::uint8_t {
    closed,    ///< by the server at the end of its time: how watches end
    expired,   ///< 410: the revision is no longer held; listed again
    silent,    ///< nothing came for too long
    broken,    ///< connection lost, server away
    refused,   ///< any other status (401, 403, 429, 5xx)
    unclear,   ///< what came could not be read
    went_back  ///< the server's data is older than what it told before (etcd restored); listed again
};
inline constexpr std::size_t kWatchEnds = 7;

constexpr std::string_view to_string(WatchEnd end) {
    constexpr std::array<std::string_view, kWatchEnds> names{"closed",  "expired", "silent",   "broken",
                                                             "refused", "unclear", "went_back"};
    return names[static_cast<std::size_t>(end)];
}

class ClientMetrics {
  public:
    static constexpr int kMaxCode = 599;

    /// `code`: of HTTP, 0 for no answer; others count as 0.
    void count_request(Verb verb, int code) {
        if (code < 0 || code > kMaxCode) code = 0;
        requests_[static_cast<std::size_t>(verb)][static_cast<std::size_t>(code)].fetch_add(1,
                                                                                            std::memory_order_relaxed);
    }
    std::uint64_t requests(Verb verb, int code) const {
        return requests_[static_cast<std::size_t>(verb)][static_cast<std::size_t>(code)].load(
            std::memory_order_relaxed);
    }
    /// f(std::string_view verb, int code, std::uint64_t count), for all that are not 0.
    template <class F>
    void for_each_request(F&& f) const {
        for (std::size_t verb = 0; verb < kVerbs; ++verb) {
            for (int code = 0; code <= kMaxCode; ++code) {
                if (const std::uint64_t count = requests(static_cast<Verb>(verb), code); count != 0) {
                    f(to_string(static_cast<Verb>(verb)), code, count);
                }
            }
        }
    }

    std::atomic<std::uint64_t> retries{0};  ///< requests sent again (429, 503, lost, 401 with a new token)
    std::atomic<std::uint64_t> throttled_nanoseconds{0};  ///< waited for the client's own rate limit
    std::atomic<std::uint64_t> credential_errors{0};      ///< files that could not be read or used

  private:
    std::array<std::array<std::atomic<std::uint64_t>, kMaxCode + 1>, kVerbs> requests_{};
};

struct ReflectorMetrics {
    std::atomic<std::uint64_t> lists{0};          ///< whole lists taken in
    std::atomic<std::uint64_t> list_failures{0};  ///< lists that did not come to an end
    std::atomic<std::uint64_t> watches{0};        ///< watches begun
    std::array<std::atomic<std::uint64_t>, kWatchEnds> watch_ends{};
    std::atomic<std::uint64_t> events{0};       ///< ADDED, MODIFIED and DELETED taken in
    std::atomic<std::uint64_t> undecodable{0};  ///< objects refused by the decoder, each time
    std::atomic<std::uint64_t> objects{0};      ///< known now
    std::atomic<std::uint64_t> unreadable{0};   ///< there but not decodable now
    std::atomic<std::int64_t> last_contact{0};  ///< Unix seconds of the last byte of a list or watch; 0: never
    std::atomic<bool> synced{false};

    void count_end(WatchEnd end) { watch_ends[static_cast<std::size_t>(end)].fetch_add(1, std::memory_order_relaxed); }
    std::uint64_t ends(WatchEnd end) const {
        return watch_ends[static_cast<std::size_t>(end)].load(std::memory_order_relaxed);
    }
};

}  // namespace guideway::kubernetes
