// FlowQuestion: how a control thread looks into a worker's flow table, which nobody but the worker may read.
//
// The control thread writes down a five-tuple and a number; the worker, once a poll, sees a number it has not answered, looks the tuple up
// and copies the entry out. Nobody waits for the other with a lock; while nobody asks it costs the worker one load and one predictable
// branch a poll.
//
// Worked example:
//   control:  question.ask(packet::FiveTupleV4{...});      worker: question.answer_with(flows_v4, flows_v6);    (each poll)
//   control:  if (question.answered()) if (auto entry = question.finding_v4()) ...
//
// Thread contract: ask(), answered(), finding() from one control thread at a time; ask() only while answered(). pending(), answer_with()
// from the worker.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <variant>

#include "dataplane/flow/flow_table.h"

namespace guideway::worker {

/// An entry as it was when the worker was asked, and which of its halves the tuple is.
template <typename Entry>
struct FlowFinding {
    Entry entry;
    unsigned half = 0;
};

using FlowTuple = std::variant<packet::FiveTupleV4, packet::FiveTupleV6>;
using AnyFlowFinding = std::variant<FlowFinding<flow::FlowEntryV4>, FlowFinding<flow::FlowEntryV6>>;

class FlowQuestion {
  public:
    void ask(const FlowTuple& tuple) noexcept {
        tuple_ = tuple;
        asked_.store(asked_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }
    bool answered() const noexcept {
        return answered_.load(std::memory_order_acquire) == asked_.load(std::memory_order_relaxed);
    }
    /// Once answered; nothing: the worker has no such connection.
    const std::optional<AnyFlowFinding>& finding() const noexcept { return finding_; }

    bool pending() const noexcept {
        return asked_.load(std::memory_order_relaxed) != answered_.load(std::memory_order_relaxed);
    }
    void answer_with(const flow::FlowTableV4& flows_v4, const flow::FlowTableV6& flows_v6) noexcept {
        const std::uint32_t number = asked_.load(std::memory_order_acquire);
        finding_.reset();
        if (const auto* v4 = std::get_if<packet::FiveTupleV4>(&tuple_)) {
            look_up(flows_v4, *v4);
        } else if (const auto* v6 = std::get_if<packet::FiveTupleV6>(&tuple_)) {
            look_up(flows_v6, *v6);
        }
        answered_.store(number, std::memory_order_release);
    }

  private:
    template <typename Table>
    void look_up(const Table& flows, const typename Table::Tuple& tuple) noexcept {
        if (const flow::FlowRef ref = flows.find(tuple)) {
            finding_.emplace(FlowFinding<typename Table::Entry>{flows.entry(ref.index()), ref.half()});
        }
    }

    alignas(64) std::atomic<std::uint32_t> asked_{0};
    std::atomic<std::uint32_t> answered_{0};
    FlowTuple tuple_;
    std::optional<AnyFlowFinding> finding_;
};

}  // namespace guideway::worker
