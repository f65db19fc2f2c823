// What people see of resources, status, explain and counters. Thread contract: pure functions over the stream given.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "api/contract/counters.h"
#include "api/contract/explain.h"
#include "api/resources/address_pool.h"
#include "api/resources/load_balancer.h"
#include "api/resources/node.h"
#include "api/resources/problem.h"
#include "api/resources/status.h"

namespace guideway::cli {

void show_table(std::ostream& out, const std::vector<resources::LoadBalancer>& objects, bool wide);
void show_table(std::ostream& out, const std::vector<resources::AddressPool>& objects, bool wide);
void show_table(std::ostream& out, const std::vector<resources::Node>& objects, bool wide);

void describe(std::ostream& out, const resources::LoadBalancer& object);
void describe(std::ostream& out, const resources::AddressPool& object);
void describe(std::ostream& out, const resources::Node& object);

/// True where the dataplane is connected and does what is wanted.
bool is_forwarding(const resources::SystemStatus& status);
void show_status(std::ostream& out, const resources::SystemStatus& status, const std::string& server);
void show_explain(std::ostream& out, const contract::ExplainRequest& request, const contract::ExplainAnswer& answer);
/// Rates between two readings, `seconds` (> 0) apart; of the busiest first. A dataplane that began anew counts from zero.
void show_rates(std::ostream& out, const contract::Counters& before, const contract::Counters& after, double seconds);

/// The detail, and one line a fault.
void show_problem(std::ostream& err, const resources::Problem& problem);

/// "203.0.113.1, 2001:db8:f::1"; "waiting for an address" where there is none.
std::string addresses_text(const resources::LoadBalancer& object);
/// The addresses, and where the wish is not met why: "waiting for an address: UnknownPool, there is no address pool ...".
std::string outcome_text(const resources::LoadBalancer& object);

}  // namespace guideway::cli
