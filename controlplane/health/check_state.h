// CheckState: from the results of probes, one after the other, to whether what is probed counts as healthy.
//
// Terms. Result: what one probe found. Verdict: what counts. It turns unhealthy after `unhealthy_after` failures in a row, and healthy
// after `healthy_after` successes in a row (kubernetes-contract 9), so that one lost packet takes nothing away. What was not probed
// yet counts as healthy: a control plane that starts takes no node away.
//
// Worked example (2 and 1): new -> healthy, NotYetProbed. Refused -> still healthy, NotYetProbed. Refused -> unhealthy, Refused.
// Timeout -> unhealthy, Timeout (since is as before). Ok -> healthy, Ok.
//
// Thread contract: plain values; pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace guideway::health {

/// How many results in a row turn a verdict; each at least 1.
struct Thresholds {
    unsigned unhealthy_after = 2;
    unsigned healthy_after = 1;
    friend bool operator==(const Thresholds&, const Thresholds&) = default;
};

inline constexpr const char* kOk = "Ok";
inline constexpr const char* kNotYetProbed = "NotYetProbed";
inline constexpr const char* kRefused = "Refused";          ///< the port is closed
inline constexpr const char* kTimeout = "Timeout";          ///< no whole answer in time
inline constexpr const char* kUnreachable = "Unreachable";  ///< no way to the node
inline constexpr const char* kBadAnswer = "BadAnswer";      ///< it answers something that is no HTTP, or not to the end
// And "Status503", by the status that was answered.

/// What one probe found.
struct Result {
    bool ok = false;
    std::string reason;   ///< one of the above
    std::string message;  ///< a sentence's worth, for people
    /// Ready local endpoints, where the answer told them (healthCheckNodePort).
    std::optional<std::uint32_t> endpoints;
    friend bool operator==(const Result&, const Result&) = default;
};

struct Verdict {
    bool healthy = true;
    std::string reason = kNotYetProbed;  ///< of the newest result that agrees with `healthy`
    std::string message = "not probed yet";
    std::optional<std::uint32_t> endpoints;  ///< as told last by an answer that was ok
    /// When `healthy` became what it is.
    std::chrono::system_clock::time_point since{};
    friend bool operator==(const Verdict&, const Verdict&) = default;
};

class CheckState {
  public:
    CheckState() = default;
    explicit CheckState(std::chrono::system_clock::time_point now) { verdict_.since = now; }

    /// True: the verdict is another in anything but its message.
    bool note(Result result, const Thresholds& thresholds, std::chrono::system_clock::time_point now) {
        if (result.ok == last_ok_ && in_a_row_ > 0) {
            if (in_a_row_ < kMany) ++in_a_row_;
        } else {
            last_ok_ = result.ok;
            in_a_row_ = 1;
        }
        const unsigned needed = result.ok ? thresholds.healthy_after : thresholds.unhealthy_after;
        if (result.ok != verdict_.healthy && in_a_row_ < needed) return false;
        const bool turned = result.ok != verdict_.healthy;
        const bool other = turned || result.reason != verdict_.reason || result.endpoints != verdict_.endpoints;
        verdict_.healthy = result.ok;
        verdict_.reason = std::move(result.reason);
        verdict_.message = std::move(result.message);
        verdict_.endpoints = result.endpoints;
        if (turned) verdict_.since = now;
        return other;
    }

    const Verdict& verdict() const { return verdict_; }
    /// No verdict came of a probe yet.
    bool undecided() const { return verdict_.reason == kNotYetProbed; }

  private:
    static constexpr unsigned kMany = 1'000'000;
    Verdict verdict_;
    unsigned in_a_row_ = 0;
    bool last_ok_ = true;
};

}  // namespace guideway::health
