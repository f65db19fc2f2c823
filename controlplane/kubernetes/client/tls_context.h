// TLS for the API server: an SSL_CTX is told whom to trust, for which name, and who we are, all from PEM text.
//
// Authorities that are given are the only ones: what the system trusts does not count beside them, whatever else is loaded into the
// context. TLS 1.2 at least. The certificate and its name are verified by OpenSSL within the handshake; the HTTP library's own check is to
// be off, since it compares IPv6 addresses beyond the end of shorter ones.
// Thread contract: one thread a context; TlsTrust outlives the context it was given to.
#pragma once

#include <memory>
#include <openssl/ssl.h>
#include <string>

#include "controlplane/kubernetes/client/credentials.h"

namespace guideway::kubernetes {

/// The authorities of one context, and what they said last.
struct TlsTrust {
    struct Free {
        void operator()(STACK_OF(X509) * stack) const { sk_X509_pop_free(stack, X509_free); }
    };
    std::unique_ptr<STACK_OF(X509), Free> authorities;  ///< null: whom the system trusts
    int result = X509_V_OK;                             ///< of the last server's certificate: X509_V_...
};

/// `name`: whom the server's certificate must name, a host name or literal address. A sentence of what cannot be used; empty: done.
std::string set_up_tls(SSL_CTX* context, TlsTrust& trust, const Credentials& credentials, const std::string& name);

/// The first thing OpenSSL complained of in this thread since ERR_clear_error(); empty: nothing.
std::string tls_complaint();

}  // namespace guideway::kubernetes
