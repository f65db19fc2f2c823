// TlsLab: certificates made for a test, in files; TlsClient: a client of any TLS version that shows one or none.
// Thread contract: one thread each.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/time.h>

#include "api/rest/tls.h"
#include "tests/unit/api/rest/raw_client.h"

namespace guideway::rest {

struct Identity {
    EVP_PKEY* key = nullptr;
    X509* certificate = nullptr;

    Identity() = default;
    Identity(Identity&& other) noexcept
        : key(std::exchange(other.key, nullptr)), certificate(std::exchange(other.certificate, nullptr)) {}
    Identity& operator=(Identity&&) = delete;
    ~Identity() {
        ::X509_free(certificate);
        ::EVP_PKEY_free(key);
    }
};

/// Signed by `issuer`, or by itself where there is none. `days`: from an hour ago; negative: it has expired.
inline Identity make_identity(const std::string& common_name, const Identity* issuer = nullptr, int days = 30,
                              bool authority = false) {
    Identity made;
    made.key = ::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");  // clang refuses the cast in EVP_EC_gen
    made.certificate = ::X509_new();
    X509* const x = made.certificate;
    ::X509_set_version(x, 2);
    static long serial = 1;
    ::ASN1_INTEGER_set(::X509_get_serialNumber(x), ++serial);
    constexpr long kDay = 86400;
    ::X509_gmtime_adj(::X509_getm_notBefore(x), days < 0 ? 2 * days * kDay : -3600);
    ::X509_gmtime_adj(::X509_getm_notAfter(x), days * kDay);
    ::X509_set_pubkey(x, made.key);
    X509_NAME* const name = ::X509_get_subject_name(x);
    ::X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0);
    ::X509_set_issuer_name(x, issuer != nullptr ? ::X509_get_subject_name(issuer->certificate) : name);
    if (authority) {
        X509_EXTENSION* const extension =
            ::X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
        ::X509_add_ext(x, extension, -1);
        ::X509_EXTENSION_free(extension);
    }
    ::X509_sign(x, issuer != nullptr ? issuer->key : made.key, ::EVP_sha256());
    return made;
}

class TlsLab {
  public:
    TlsLab() {
        std::string pattern = (std::filesystem::temp_directory_path() / "tls-lab-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        write("server", make_identity("server"));
        write("clients", authority_);
    }
    ~TlsLab() { std::filesystem::remove_all(folder_); }

    std::string path(const std::string& name) const { return folder_ + "/" + name; }
    TlsFiles files(ClientCertificates clients = ClientCertificates::none) const {
        return {path("server.crt"), path("server.key"), clients == ClientCertificates::none ? "" : path("clients.crt"),
                clients};
    }
    /// NAME.crt and NAME.key, each put in place as a whole.
    void write(const std::string& name, const Identity& identity) const {
        write_certificate(name, identity);
        write_key(name, identity);
    }
    void write_certificate(const std::string& name, const Identity& identity) const {
        put(name + ".crt", [&](std::FILE* file) { ::PEM_write_X509(file, identity.certificate); });
    }
    void write_key(const std::string& name, const Identity& identity) const {
        put(name + ".key", [&](std::FILE* file) {
            ::PEM_write_PrivateKey(file, identity.key, nullptr, nullptr, 0, nullptr, nullptr);
        });
    }
    void write_text(const std::string& name, const std::string& text) const {
        put(name, [&](std::FILE* file) { std::fwrite(text.data(), 1, text.size(), file); });
    }
    const Identity& authority() const { return authority_; }

  private:
    template <class Write>
    void put(const std::string& name, Write write) const {
        std::FILE* const file = std::fopen(path("new").c_str(), "w");
        write(file);
        std::fclose(file);
        ::chmod(path("new").c_str(), 0600);
        std::filesystem::rename(path("new"), path(name));
    }

    std::string folder_;
    Identity authority_ = make_identity("clients", nullptr, 30, true);
};

/// A connection with the handshake made, or not.
class TlsClient {
  public:
    struct Options {
        int min_version = 0;
        int max_version = 0;
        const char* protocols = nullptr;  ///< ALPN, each with its length before it
        const Identity* identity = nullptr;
    };

    explicit TlsClient(std::uint16_t port) : TlsClient(port, Options{}) {}
    TlsClient(std::uint16_t port, const Options& options) : raw_(port) {
        timeval patience{kGenerousMilliseconds / 1000, 0};
        ::setsockopt(raw_.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        context_ = ::SSL_CTX_new(::TLS_client_method());
        ::SSL_CTX_set_security_level(context_, 0);
        ::SSL_CTX_set_min_proto_version(context_, options.min_version);
        ::SSL_CTX_set_max_proto_version(context_, options.max_version);
        if (options.identity != nullptr) {
            ::SSL_CTX_use_certificate(context_, options.identity->certificate);
            ::SSL_CTX_use_PrivateKey(context_, options.identity->key);
        }
        if (options.protocols != nullptr) {
            ::SSL_CTX_set_alpn_protos(context_, reinterpret_cast<const unsigned char*>(options.protocols),
                                      static_cast<unsigned>(std::string_view(options.protocols).size()));
        }
        tls_ = ::SSL_new(context_);
        ::SSL_set_fd(tls_, raw_.fd());
        ::ERR_clear_error();
        connected_ = ::SSL_connect(tls_) == 1;
        ::ERR_clear_error();
    }
    TlsClient(const TlsClient&) = delete;
    TlsClient& operator=(const TlsClient&) = delete;
    ~TlsClient() {
        ::SSL_free(tls_);
        ::SSL_CTX_free(context_);
        ::ERR_clear_error();
    }

    bool connected() const { return connected_; }
    SSL* ssl() { return tls_; }
    bool send(std::string_view bytes) {
        return ::SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size())) == static_cast<int>(bytes.size());
    }
    /// All until the server closes.
    std::string read_all() {
        std::string out;
        char buffer[4096];
        int got = 0;
        while ((got = ::SSL_read(tls_, buffer, sizeof buffer)) > 0) out.append(buffer, static_cast<std::size_t>(got));
        return out;
    }
    std::string read_until(std::string_view text) {
        std::string out;
        char byte = 0;
        while (out.find(text) == std::string::npos && ::SSL_read(tls_, &byte, 1) == 1) out += byte;
        return out;
    }
    /// Of the server's certificate.
    std::string server_serial() {
        X509* const certificate = ::SSL_get1_peer_certificate(tls_);
        if (certificate == nullptr) return {};
        const std::string serial = std::to_string(::ASN1_INTEGER_get(::X509_get0_serialNumber(certificate)));
        ::X509_free(certificate);
        return serial;
    }

  private:
    RawClient raw_;
    SSL_CTX* context_ = nullptr;
    SSL* tls_ = nullptr;
    bool connected_ = false;
};

}  // namespace guideway::rest
