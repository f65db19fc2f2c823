// kubeconfig: the file of kubectl (apiVersion v1, kind Config; YAML or JSON), read to the Access of one context.
//
// Taken: clusters (server, certificate-authority, certificate-authority-data, tls-server-name, insecure-skip-tls-verify where allowed),
// users (client-certificate, client-key, their -data forms, token, tokenFile), contexts (cluster, user, namespace), current-context.
// Where both are there, data wins over a file, and tokenFile over token, as in client-go. Relative paths are of the file's folder.
// Refused by name, as they would be passed over in silence otherwise: exec, auth-provider, username, password, as (impersonation),
// proxy-url. Other fields are passed over, as kubectl does.
//
// Worked example: "users: [{name: root, user: {exec: {command: aws}}}]" with current-context of that user
//     -> fault {"users[0].user.exec", "/etc/kc: found a plugin to run, allowed client-certificate(-data) with client-key(-data), token or tokenFile"}
// Thread contract: pure but for the file.
#pragma once

#include <string>
#include <string_view>

#include "api/contract/decoded.h"
#include "controlplane/kubernetes/client/access.h"

namespace guideway::kubernetes {

struct KubeconfigOptions {
    std::string context = {};     ///< empty: current-context
    bool allow_insecure = false;  ///< whether insecure-skip-tls-verify: true is taken; else it is a fault
};

/// Every fault names the file and the field. Files that it names must be there; what is in them is looked at when connecting.
contract::Decoded<Access> read_kubeconfig(const std::string& path, const KubeconfigOptions& options = {});

/// `path` is for messages, and its folder for relative paths.
contract::Decoded<Access> parse_kubeconfig(std::string_view text, const std::string& path,
                                           const KubeconfigOptions& options = {});

}  // namespace guideway::kubernetes
