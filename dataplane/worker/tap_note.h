// TapNote: what a worker writes down of a packet that an operator looks at (observe/tap.h). In the lane's ring the note is followed by the
// beginning of the frame as it came (`kept` bytes), then by those of the frames that left (out[i].kept bytes each).
//
// Facts only: control threads make words of them (tap_words.h).
// Worked example: a SYN that opens a connection: verdict forwarded, known_before false, finding the new entry, out[0] at the nodes' port.
// Thread contract: a plain value.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <type_traits>

#include "dataplane/flow/connection_state.h"
#include "dataplane/observe/drop_reason.h"
#include "dataplane/worker/flow_question.h"

namespace guideway::worker {

enum class TapVerdict : std::uint8_t { forwarded, answered, refused, dropped, kernel, held, handed_over, other };

/// Why the packet of `held` waits.
enum class TapWait : std::uint8_t { none, neighbour, first_fragment };

/// Why a new connection's backend was chosen.
enum class TapChoice : std::uint8_t { table, remembered, remembered_gone };

struct TapFrameNote {
    std::uint32_t length = 0;
    std::uint16_t kept = 0;
    std::uint16_t port = 0;  ///< index; kNotSent: waits
};

struct TapNote {
    static constexpr std::uint16_t kNotSent = 0xffff;
    static constexpr std::size_t kMostFrames = 4;

    std::uint64_t cycles = 0;  ///< time stamp counter
    std::optional<AnyFlowFinding> finding =
        {};  ///< the connection after the packet's step, and the packet's half of it
    TapFrameNote in;
    std::array<TapFrameNote, kMostFrames> out{};
    std::uint32_t more_out = 0;
    std::uint8_t outs = 0;
    TapVerdict verdict = TapVerdict::other;
    observe::DropReason reason = observe::DropReason::none;       ///< of a drop
    observe::DropReason refused_for = observe::DropReason::none;  ///< of a refusal
    TapWait wait = TapWait::none;
    TapChoice choice = TapChoice::table;
    bool taken_over = false;
    bool known_before = false;
    flow::ConnectionState state_before = flow::ConnectionState::none;  ///< where known_before
};
static_assert(std::is_trivially_copyable_v<TapNote>);

}  // namespace guideway::worker
