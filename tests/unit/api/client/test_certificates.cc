#include "tests/unit/api/client/test_certificates.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdexcept>

namespace guideway::testing {

namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

File open_file(const std::string& path, const char* mode) {
    File file(std::fopen(path.c_str(), mode), &std::fclose);
    if (!file) throw std::runtime_error("cannot open " + path);
    return file;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    if (extension == nullptr) throw std::runtime_error("bad extension " + value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/// Signed by itself where there is no issuer.
void write(const CertificateFiles& files, const std::string& name, const std::string& alternative_names, int days,
           X509* issuer, EVP_PKEY* issuer_key) {
    static long serial = 1;
    // Not by the macro EVP_EC_gen, whose cast clang does not let pass.
    const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), &EVP_PKEY_free);
    const Certificate certificate(X509_new(), &X509_free);
    X509_set_version(certificate.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
    const long end = 86400L * days;
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), end < 0 ? 2 * end : -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), end);
    X509_NAME* subject = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(name.c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(certificate.get(), issuer == nullptr ? subject : X509_get_subject_name(issuer));
    X509_set_pubkey(certificate.get(), key.get());
    if (issuer == nullptr)
        add_extension(certificate.get(), certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
    if (!alternative_names.empty()) {
        add_extension(certificate.get(), issuer, NID_subject_alt_name, alternative_names);
    }
    X509_sign(certificate.get(), issuer_key == nullptr ? key.get() : issuer_key, EVP_sha256());
    PEM_write_X509(open_file(files.certificate, "w").get(), certificate.get());
    PEM_write_PrivateKey(open_file(files.key, "w").get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
}

}  // namespace

TestCertificates::TestCertificates() {
    std::string name = std::filesystem::temp_directory_path() / "guideway-certificates-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder");
    folder_ = name;
    write({ca_file(), folder_ / "ca.key"}, "Guideway test authority", "", 1, nullptr, nullptr);
}

TestCertificates::~TestCertificates() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

CertificateFiles TestCertificates::make(const std::string& name, const std::string& alternative_names, int days) const {
    const Certificate issuer(PEM_read_X509(open_file(ca_file(), "r").get(), nullptr, nullptr, nullptr), &X509_free);
    const Key key(PEM_read_PrivateKey(open_file(folder_ / "ca.key", "r").get(), nullptr, nullptr, nullptr),
                  &EVP_PKEY_free);
    const CertificateFiles files{folder_ / (name + ".pem"), folder_ / (name + ".key")};
    write(files, name, alternative_names, days, issuer.get(), key.get());
    return files;
}

}  // namespace guideway::testing
