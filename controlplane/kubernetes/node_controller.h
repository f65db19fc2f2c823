// NodeController: makes one Node and the appliance's node agree (Kubernetes rule 8). It never looks at Services: a node's change is one PUT.
//
// Drained by whom: what the cluster drains (a taint) carries the label guideway.io/drained-by=cluster on the appliance, and takes new
// connections again when the taint goes. A drain without it is an operator's (`guideway drain`) and stays until he ends it.
//
// Stale: on the appliance, of our cluster, with a UID, without a Node: removed. Nodes without a UID were made by a person and stay.
// Thread contract: sync() from one thread at a time a key.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "api/client/client.h"
#include "controlplane/kubernetes/appliance_view.h"
#include "controlplane/kubernetes/selection.h"
#include "controlplane/kubernetes/sync_result.h"

namespace guideway::kubernetes {

/// What is known of the cluster's Nodes. Null members are not allowed.
struct NodeView {
    std::function<std::shared_ptr<const Node>(const std::string& name)> find;
    std::function<bool(const std::string& name)> exists;  ///< also one that cannot be read
    std::function<bool()> complete;                       ///< all were listed and have names
};

inline constexpr const char* kDrainedBy = "guideway.io/drained-by";

/// What the appliance shall have: as the cluster says, and drained still where an operator drained it. `known`: what it has; null: nothing.
resources::Node with_drains(resources::Node wanted, const resources::Node* known);

class NodeController {
  public:
    NodeController(NodeRules rules, NodeView cluster, ApplianceView<resources::Node>& appliance,
                   std::function<bool()> may_write);

    SyncResult sync(const std::string& name, client::Client& appliance);

  private:
    SyncResult remove(const std::string& name, const std::string& uid, client::Client& appliance);

    const NodeRules rules_;
    const NodeView cluster_;
    ApplianceView<resources::Node>& appliance_;
    const std::function<bool()> may_write_;
};

}  // namespace guideway::kubernetes
