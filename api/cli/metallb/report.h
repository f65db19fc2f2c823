// The report of an import: of each object that was read, whether it is carried over, and what of it is not.
//
// Terms. Title: "IPAddressPool metallb-system/public". Origin: where it stands, "metallb.yaml: document 2". Becomes: what was made of it.
// Worked example (print_report):
//     IPAddressPool metallb-system/public: carried over, as AddressPool public
//     BGPPeer metallb-system/tor: cannot be carried over (metallb.yaml: document 3)
//       /spec/myASN, /spec/peerASN: this is no object here but a setting of the appliance: ...
//     2 objects: 1 carried over, 0 with a difference, 1 not
// Thread contract: plain values, pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace guideway::cli::metallb {

enum class Verdict : std::uint8_t { carried, differs, lost };

/// Something to know of one field or several. `verdict` carried: worth knowing, and no difference.
struct Finding {
    Verdict verdict = Verdict::carried;
    std::string field;  ///< JSON pointers, "/spec/peers"; empty: the object itself
    std::string message;
};

struct ObjectReport {
    std::string title;
    std::string origin;
    std::string becomes;  ///< empty: nothing was to be made of it, or nothing could be
    bool lost = false;    ///< nothing of it goes on
    std::vector<Finding> findings;

    void add(Verdict verdict, std::string field, std::string message) {
        findings.push_back({verdict, std::move(field), std::move(message)});
    }
    /// An object of which a part is lost is carried over with a difference.
    Verdict verdict() const;
};

struct Totals {
    std::size_t carried = 0, differs = 0, lost = 0;
};
Totals totals_of(const std::vector<ObjectReport>& reports);

/// The objects in the order in which they were read; without control characters, whatever the objects hold.
void print_report(std::ostream& out, const std::vector<ObjectReport>& reports);

}  // namespace guideway::cli::metallb
