// In-cluster access: what a pod has of itself: KUBERNETES_SERVICE_HOST and _PORT, and the mounted service account (token, ca.crt, namespace).
//
// Worked example: KUBERNETES_SERVICE_HOST=fd00::1, KUBERNETES_SERVICE_PORT=443 -> server "https://[fd00::1]:443", token_file and
// authority.file below /var/run/secrets/kubernetes.io/serviceaccount.
// Thread contract: pure but for environment and files.
#pragma once

#include <functional>
#include <string>

#include "api/contract/decoded.h"
#include "controlplane/kubernetes/client/access.h"

namespace guideway::kubernetes {

struct InClusterOptions {
    std::string folder = "/var/run/secrets/kubernetes.io/serviceaccount";
    /// Null: getenv(). Empty answer: not set.
    std::function<std::string(const std::string& name)> environment = {};
};

/// Faults name the variable or the file ("KUBERNETES_SERVICE_HOST", "/var/run/.../token").
contract::Decoded<Access> in_cluster_access(const InClusterOptions& options = {});

/// Whether this process seems to run in a pod: the variable is set and the token is there.
bool is_in_cluster(const InClusterOptions& options = {});

}  // namespace guideway::kubernetes
