// Access: where a Kubernetes API server is, whom we take it for, and who we are. Made by kubeconfig.h or in_cluster.h.
//
// Terms. Pem: a certificate (with its chain), several (authorities) or a key, as text, or in a file that is read again when it changes.
//
// Worked example: {.server = "https://10.0.0.1:6443", .authority = {.file = "/etc/kubernetes/ca.crt"}, .token_file = "/var/run/.../token"}
// Thread contract: plain values.
#pragma once

#include <string>

namespace guideway::kubernetes {

/// At most one member is set; both empty: none.
struct Pem {
    std::string data = {};  ///< PEM text
    std::string file = {};  ///< path of a PEM file
    bool empty() const { return data.empty() && file.empty(); }
    friend bool operator==(const Pem&, const Pem&) = default;
};

struct Access {
    /// "https://HOST[:PORT][/PREFIX]" (port 443), IPv6 in brackets; "http://" (port 80) where nobody asks who we are. A prefix is put before
    /// every path.
    std::string server;
    std::string server_name = {};  ///< whom the certificate must name; empty: the URL's host
    Pem authority = {};            ///< who may have signed the server's certificate; empty: whom the system trusts
    /// The server's certificate is not looked at: whoever is on the way can be the server. Only where a person asked for it by name.
    bool insecure = false;

    Pem client_certificate = {}, client_key = {};
    std::string token = {};  ///< bearer token; used where token_file is empty
    std::string token_file =
        {};  ///< read again when it changes, at least every minute, and at once when the server refused it

    std::string namespace_ = {};  ///< that of the context or the service account; empty: none is named
    std::string origin =
        {};  ///< for messages: "context prod of /etc/guideway/kubeconfig", "the service account of this pod"
    friend bool operator==(const Access&, const Access&) = default;
};

}  // namespace guideway::kubernetes
