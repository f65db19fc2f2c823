// Configuration: what MetalLB's manifests say, read from YAML or JSON, before anything is made of it.
//
// Read: metallb.io IPAddressPool, AddressPool (its form before 0.13), L2Advertisement, BGPAdvertisement, BGPPeer, Community, BFDProfile; the
// ConfigMap of MetalLB before 0.13, and its text alone; lists of these, as `kubectl get ... -o yaml` prints them.
//
// Terms. Report: each object has one, in the order of reading. What reading alone can tell is in it already: fields that are not known, and those
// that have no counterpart. Error: what cannot be read; then nothing is to be made of anything.
// Worked example: Configuration found; read_configuration("kind: IPAddressPool\n...", "pools.yaml", found); found.pools[0].name -> "public".
// Thread contract: plain values, pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/cli/metallb/report.h"
#include "api/resources/address_pool.h"
#include "api/resources/selector.h"

namespace guideway::cli::metallb {

struct Pool {
    std::size_t report = 0;  ///< index into Configuration::reports
    std::string name;
    std::map<std::string, std::string> labels;
    std::vector<std::string> addresses;  ///< as written
    std::string addresses_field;         ///< where they stand: "/spec/addresses"
    bool auto_assign = true;
    bool avoid_buggy_ips = false;
    std::optional<resources::ServiceAllocation> service_allocation;
    /// Of the forms before 0.13, where a pool says itself how it is announced: "layer2" or "bgp".
    std::string protocol;
};

/// An L2Advertisement or BGPAdvertisement. Neither pools nor selectors: all pools.
struct Advertisement {
    std::size_t report = 0;
    bool bgp = false;
    std::vector<std::string> pools;
    std::vector<resources::LabelSelector> selectors;
};

struct Configuration {
    std::vector<Pool> pools;
    std::vector<Advertisement> advertisements;
    std::vector<ObjectReport> reports;
    std::vector<std::string>
        errors;  ///< each a line: "pools.yaml: document 2 (IPAddressPool a): /spec/autoAssign: found 1, allowed ..."
};

/// Adds what `text` holds; `source` names it in errors and reports.
void read_configuration(std::string_view text, const std::string& source, Configuration& into);

}  // namespace guideway::cli::metallb
