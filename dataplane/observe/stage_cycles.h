// StageCycles: where a worker's time goes, by stage of a burst. For benchmarks; a worker without one pays a branch a stage.
//
// Terms: a lap is the time from the end of the stage before to the end of this one, in cycles of the time stamp counter.
// Thread contract: one worker writes; read when it does not run.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace guideway::observe {

enum class Stage : std::uint8_t { receive, parse, find, prefetch, forward, general, misses, transmit, housekeeping };
inline constexpr std::array<std::string_view, 9> kStageNames = {
    "receive", "parse", "find", "prefetch", "forward", "general", "misses", "transmit", "housekeeping"};

struct StageCycles {
    std::array<std::uint64_t, kStageNames.size()> spent{};
    std::uint64_t last = 0;

    void lap(Stage stage, std::uint64_t now) noexcept {
        spent[static_cast<std::size_t>(stage)] += now - last;
        last = now;
    }
};

}  // namespace guideway::observe
