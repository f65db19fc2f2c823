// DropHelp: what a drop reason means and what to do, in plain language. Read from docs/drops.md, which is built into the program: the
// document and the command cannot disagree, and a test of the dataplane holds the document and its reasons together.
//
// Worked example: the line  | `port_closed` | No service on this port. | A port scan: `guideway get lb`. |  below the heading
//   "## Refused"  becomes  {"port_closed", "Refused", "No service on this port.", "A port scan: guideway get lb."}
//
// Thread contract: pure functions, constants.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace guideway::cli {

struct DropHelp {
    std::string reason;
    std::string group;  ///< the heading it stands below
    std::string means;
    std::string advice;
    friend bool operator==(const DropHelp&, const DropHelp&) = default;
};

/// The rows of a document in that form, in its order; other lines are passed over.
std::vector<DropHelp> read_drop_help(std::string_view document);
/// Of the document this program was built with.
const std::vector<DropHelp>& drop_help();
/// Null: this program does not know the reason (the dataplane is newer).
const DropHelp* drop_help_of(std::string_view reason);

/// docs/drops.md.
std::string_view drops_text();

}  // namespace guideway::cli
