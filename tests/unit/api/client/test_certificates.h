// TestCertificates: an authority and certificates of it, made anew for a test, in a folder of their own that goes with them.
// Thread contract: one thread.
#pragma once

#include <filesystem>
#include <string>

namespace guideway::testing {

struct CertificateFiles {
    std::string certificate, key;  ///< PEM
};

class TestCertificates {
  public:
    TestCertificates();
    ~TestCertificates();
    TestCertificates(const TestCertificates&) = delete;
    TestCertificates& operator=(const TestCertificates&) = delete;

    const std::filesystem::path& folder() const { return folder_; }
    /// Of the authority.
    std::string ca_file() const { return folder_ / "ca.pem"; }
    /// `alternative_names` as OpenSSL writes them: "IP:127.0.0.1,DNS:gw.example". `days`: may be past.
    CertificateFiles make(const std::string& name, const std::string& alternative_names, int days = 1) const;

  private:
    std::filesystem::path folder_;
};

}  // namespace guideway::testing
