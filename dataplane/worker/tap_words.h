// Words for what a tap saw: one line for a frame, one sentence for each stage of a packet's way.
//
// Worked example: "TCP 198.51.100.7:40000 > 203.0.113.10:80 SYN"; then "Not in the flow table ...", "Service default/web ...",
// "Opens a connection ...", "Translated to ...", "Leaves by port node-side ...".
// Thread contract: pure; any control thread, allocates.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "api/contract/tap.h"
#include "dataplane/worker/flow_view.h"
#include "dataplane/worker/tap_note.h"

namespace guideway::worker {

std::string_view to_string(TapVerdict verdict);

/// `bytes`: the beginning of a frame of `length`.
std::string packet_text(std::span<const std::byte> bytes, std::uint32_t length);

/// Fills in service and backend and, where `steps`, the sentences and the frames' texts. The rest of `record` is there already.
void tell(contract::TapRecord& record, const TapNote& note, const FlowSurroundings& around, bool steps);

}  // namespace guideway::worker
