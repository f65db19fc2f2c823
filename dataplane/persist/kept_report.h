// KeptReport: what became of the connections of a flow file, counted while they are taken over, told in one line.
//
// Worked example: 2 entries kept, 12 not because of their SNAT address:
//   "2 connections kept of the file /run/guideway/guideway-flows-dataplane-1a2b3c4d; 12 could not be kept: their SNAT address
//    10.0.0.9 is no longer configured"
// Thread contract: owner only. Not for the poll path.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace guideway::persist {

class KeptReport {
  public:
    void kept(std::uint64_t count = 1) { kept_ += count; }
    /// `reason` completes "could not be kept: ".
    void lost(const std::string& reason, std::uint64_t count = 1) {
        if (count != 0) lost_[reason] += count;
    }

    std::uint64_t kept_count() const { return kept_; }
    std::uint64_t lost_count() const {
        std::uint64_t sum = 0;
        for (const auto& [reason, count] : lost_) sum += count;
        return sum;
    }
    std::string text(const std::string& path) const {
        std::string line =
            std::to_string(kept_) + (kept_ == 1 ? " connection" : " connections") + " kept of the file " + path;
        for (const auto& [reason, count] : lost_)
            line += "; " + std::to_string(count) + " could not be kept: " + reason;
        return line;
    }

  private:
    std::uint64_t kept_ = 0;
    std::map<std::string, std::uint64_t> lost_;
};

}  // namespace guideway::persist
