// What people see of resources, status, previews, explain and counters. Thread contract: pure functions over the stream given.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "api/contract/counters.h"
#include "api/contract/explain.h"
#include "api/resources/address_pool.h"
#include "api/resources/event.h"
#include "api/resources/load_balancer.h"
#include "api/resources/node.h"
#include "api/resources/problem.h"
#include "api/resources/snat_address.h"
#include "api/resources/status.h"
#include "api/resources/token.h"

namespace guideway::cli {

struct TableStyle {
    bool wide = false;
    bool clusters = false;  ///< a column for the cluster: where there is more than "default"
};

/// A kind's columns. `gone`: the row tells of a deletion.
using Cells = std::vector<std::string>;
Cells header_of(const resources::LoadBalancer*, const TableStyle& style);
Cells header_of(const resources::AddressPool*, const TableStyle& style);
Cells header_of(const resources::Node*, const TableStyle& style);
Cells header_of(const resources::Token*, const TableStyle& style);
Cells header_of(const resources::Event*, const TableStyle& style);
Cells row_of(const resources::LoadBalancer& object, const TableStyle& style, bool gone = false);
Cells row_of(const resources::AddressPool& object, const TableStyle& style, bool gone = false);
Cells row_of(const resources::Node& object, const TableStyle& style, bool gone = false);
Cells row_of(const resources::Token& object, const TableStyle& style, bool gone = false);
Cells row_of(const resources::Event& object, const TableStyle& style, bool gone = false);

void describe(std::ostream& out, const resources::LoadBalancer& object);
void describe(std::ostream& out, const resources::AddressPool& object);
void describe(std::ostream& out, const resources::Node& object);
void describe(std::ostream& out, const resources::Token& object);
/// Below an object: what happened to it; nothing where there are none.
void show_events(std::ostream& out, const std::vector<resources::Event>& events);
void show_snat_addresses(std::ostream& out, const std::vector<resources::SnatAddress>& addresses);

/// True where the dataplane is connected and does what is wanted.
bool is_forwarding(const resources::SystemStatus& status);
void show_status(std::ostream& out, const resources::SystemStatus& status, const std::string& server);
/// A line for each bonded port; none where there is none.
void show_bonds(std::ostream& out, const contract::Counters& counters);
void show_explain(std::ostream& out, const contract::ExplainRequest& request, const contract::ExplainAnswer& answer);
/// What it would get and why; the pools passed over and why.
void show_preview(std::ostream& out, const std::string& title, const resources::AllocationPreview& preview);
/// Rates between two readings, `seconds` (> 0) apart; of the busiest first. A dataplane that began anew counts from zero.
void show_rates(std::ostream& out, const contract::Counters& before, const contract::Counters& after, double seconds);

/// How often packets ended for a reason.
struct DropRow {
    std::string reason;
    std::uint64_t packets = 0;
    double per_second = 0;
    std::vector<std::pair<std::uint32_t, std::uint64_t>> workers;  ///< (worker, packets)
};
/// Every reason, zeros too; what grows fastest first. `before`: a reading so many seconds earlier, or null.
std::vector<DropRow> drop_rows(const contract::Counters& now, const contract::Counters* before, double seconds);
/// With what each means and what to do.
void show_drops(std::ostream& out, const std::vector<DropRow>& rows, bool rates, bool by_worker);

/// The detail, and one line a fault.
void show_problem(std::ostream& err, const resources::Problem& problem);

/// "203.0.113.1, 2001:db8:f::1"; "waiting for an address" where there is none.
std::string addresses_text(const std::vector<resources::Ingress>& ingress);
/// The addresses, and where the wish is not met why: "waiting for an address: UnknownPool, there is no address pool ...".
std::string outcome_text(const resources::LoadBalancer& object);

}  // namespace guideway::cli
