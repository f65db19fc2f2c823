// ServiceAllocation: whom a pool admits, and before which other pools it is asked (ipam-rules 4, 6).
//
// A service is admitted where each of these parts that is not empty admits it:
//   - clusters: its cluster is named (ours; several clusters may share the appliance)
//   - namespaces and namespace_selectors together: its namespace is named, or the namespace's labels match one of the selectors
//   - service_selectors: the service's labels match one of them
// So the entries of one list are ORed, a namespace may be given by name or by labels, and namespaces and service selectors must
// both hold: as in MetalLB, whose allocator adds the names of the matching namespaces to `namespaces` and then asks for the
// namespace and for one of the service selectors (metallb internal/allocator: isPoolCompatibleWithService).
// Only a priority admits all. Otherwise than in MetalLB, selectors that match no namespace admit nobody, on request either.
//
// Worked example: namespaces [shop], namespace_selectors [{team: web}], service_selectors [{tier: edge}] admits a service with
// tier=edge in "shop" or in a namespace with team=web, and no other.
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/ipam/label_selector.h"
#include "controlplane/ipam/wish.h"

namespace guideway::ipam {

struct ServiceAllocation {
    std::uint32_t priority = 0;  ///< the lower one first; 0: after all that have one
    std::vector<std::string> namespaces;
    std::vector<LabelSelector> namespace_selectors;
    std::vector<LabelSelector> service_selectors;
    std::vector<std::string> clusters;  ///< empty: any

    bool admits(const ServiceKey& service, const Wish& wish) const {
        return refusing_part(service, wish) == Part::none;
    }
    /// Why admits() says no, as a sentence with what to change; empty where it says yes.
    std::string why_not(const ServiceKey& service, const Wish& wish) const;
    friend bool operator==(const ServiceAllocation&, const ServiceAllocation&) = default;

  private:
    enum class Part : std::uint8_t { none, clusters, namespaces, services };
    Part refusing_part(const ServiceKey& service, const Wish& wish) const;
};

/// Every fault; fields beneath the service allocation: "/serviceSelectors/0/matchExpressions/1/values".
std::vector<SelectorFault> faults_of(const ServiceAllocation& allocation);

}  // namespace guideway::ipam
