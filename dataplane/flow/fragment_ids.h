// FragmentIds: identifications for datagrams that leave in fragments.
//
// Behind SNAT datagrams of many clients have one source, and their own identifications would meet: the receiver would put together
// what does not belong together (RFC 6864 4.3). So each gets a new one, for all its fragments. It is not seen twice between two
// addresses for as long as possible: counters stand by a keyed hash of addresses and protocol (RFC 7739 5.3), and worker w of n only
// uses numbers with `id % n == w`.
//
// Worked example, worker 1 of 3: next_v4(h) 31, 34, 37, ...
// Thread contract: one worker's.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/flow/hash.h"

namespace guideway::flow {

class FragmentIds {
  public:
    FragmentIds(std::uint32_t worker, std::uint32_t workers, const HashKeys& keys)
        : worker_(worker), workers_(std::max<std::uint32_t>(workers, 1)) {
        for (std::size_t i = 0; i < counters_.size(); ++i) {
            counters_[i] = static_cast<std::uint32_t>(hash_words(std::array<std::uint64_t, 2>{i, worker}, keys));
        }
    }

    /// `hash` of whatever must not see the same number soon. 0..65535.
    std::uint32_t next_v4(std::uint64_t hash) noexcept { return next(hash) % (65536 / workers_) * workers_ + worker_; }
    std::uint32_t next_v6(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>(next(hash) % ((std::uint64_t{1} << 32) / workers_) * workers_ + worker_);
    }

  private:
    std::uint32_t next(std::uint64_t hash) noexcept { return counters_[(hash >> 20) % counters_.size()]++; }

    std::uint32_t worker_;
    std::uint32_t workers_;
    std::array<std::uint32_t, 2048> counters_;
};

}  // namespace guideway::flow
