#include "controlplane/kubernetes/client/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "api/contract/ip_address.h"

namespace guideway::kubernetes {

namespace {

using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Bytes = std::unique_ptr<BIO, decltype(&BIO_free)>;

Bytes bytes_of(const std::string& text) {
    return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free};
}

/// No pass phrase is asked for at a terminal that a daemon does not have.
int no_pass_phrase(char*, int, int, void*) { return -1; }

/// Not the context's store: the library around it may add the system's authorities to that.
int verify(X509_STORE_CTX* store, void* argument) {
    auto* trust = static_cast<TlsTrust*>(argument);
    if (trust->authorities) X509_STORE_CTX_set0_trusted_stack(store, trust->authorities.get());
    const int good = X509_verify_cert(store);
    trust->result = X509_STORE_CTX_get_error(store);
    return good;
}

std::string where(const Pem& pem, const Access& access, const std::string& what) {
    return pem.file.empty() ? what + " of " + (access.origin.empty() ? "the options" : access.origin)
                            : what + " in " + pem.file;
}

std::string refused(const std::string& where, const std::string& remedy) {
    const std::string why = tls_complaint();
    return "cannot use the " + where + (why.empty() ? "" : ": " + why) + "; " + remedy;
}

std::string trust_authorities(SSL_CTX* context, TlsTrust& trust, const Credentials& credentials) {
    trust.authorities.reset(sk_X509_new_null());
    const Bytes bytes = bytes_of(credentials.authority());
    while (X509* one = PEM_read_bio_X509(bytes.get(), nullptr, &no_pass_phrase, nullptr)) {
        sk_X509_push(trust.authorities.get(), one);
    }
    const unsigned long last = ERR_peek_last_error();
    if (sk_X509_num(trust.authorities.get()) == 0 || ERR_GET_REASON(last) != PEM_R_NO_START_LINE) {
        return refused(where(credentials.access().authority, credentials.access(), "certificate authority"),
                       "give PEM with one certificate or several");
    }
    ERR_clear_error();
    return {};
}

std::string show_certificate(SSL_CTX* context, const Credentials& credentials) {
    const Access& access = credentials.access();
    const Bytes bytes = bytes_of(credentials.client_certificate());
    const Certificate own(PEM_read_bio_X509(bytes.get(), nullptr, &no_pass_phrase, nullptr), &X509_free);
    if (!own || SSL_CTX_use_certificate(context, own.get()) != 1) {
        return refused(where(access.client_certificate, access, "client certificate"), "give PEM");
    }
    while (true) {
        const Certificate next(PEM_read_bio_X509(bytes.get(), nullptr, &no_pass_phrase, nullptr), &X509_free);
        if (!next) break;
        SSL_CTX_add1_chain_cert(context, next.get());
    }
    ERR_clear_error();
    const Bytes key_bytes = bytes_of(credentials.client_key());
    const Key key(PEM_read_bio_PrivateKey(key_bytes.get(), nullptr, &no_pass_phrase, nullptr), &EVP_PKEY_free);
    if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
        return refused(where(access.client_key, access, "client key"),
                       "give PEM without a pass phrase, of the key that belongs to the " +
                           where(access.client_certificate, access, "client certificate"));
    }
    return {};
}

}  // namespace

std::string tls_complaint() {
    const unsigned long code = ERR_peek_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? std::string() : reason;
}

std::string set_up_tls(SSL_CTX* context, TlsTrust& trust, const Credentials& credentials, const std::string& name) {
    ERR_clear_error();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    X509_VERIFY_PARAM* expected = SSL_CTX_get0_param(context);
    const bool named = IpAddress::parse(name) ? X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) == 1
                                              : X509_VERIFY_PARAM_set1_host(expected, name.c_str(), 0) == 1;
    if (!named) return "cannot expect a certificate for \"" + name + "\"; is the name right?";
    if (!credentials.access().insecure) {
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_cert_verify_callback(context, &verify, &trust);
    }
    if (credentials.authority().empty()) {
        SSL_CTX_set_default_verify_paths(context);
    } else {
        if (std::string error = trust_authorities(context, trust, credentials); !error.empty()) return error;
    }
    if (!credentials.client_certificate().empty()) return show_certificate(context, credentials);
    return {};
}

}  // namespace guideway::kubernetes
