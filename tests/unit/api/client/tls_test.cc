// TLS as a client meets it: who is trusted, what is told of who is not.
#include <filesystem>

#include <gtest/gtest.h>

#include "api/client/transport.h"
#include "tests/unit/api/client/fake_server.h"
#include "tests/unit/api/client/test_certificates.h"

namespace guideway::client {
namespace {

using testing::FakeServer;
using testing::TestCertificates;

class Tls : public ::testing::Test {
  protected:
    static testing::TlsFiles files(const testing::CertificateFiles& made, const std::string& client_ca = {}) {
        return {made.certificate, made.key, client_ca};
    }
    Options options(const FakeServer& server) const {
        Options out;
        out.server = server.url();
        out.ca_file = certificates.ca_file();
        return out;
    }
    static resources::Result<Answer> ask(Options wanted) { return Transport(std::move(wanted)).ask({.path = "/x"}); }
    /// "" where there is an answer.
    static std::string trouble(Options wanted) {
        const auto result = ask(std::move(wanted));
        if (result.ok()) return {};
        EXPECT_EQ(result.problem().reason, "TlsFailed");
        return result.problem().detail;
    }
    TestCertificates certificates;
};

#define EXPECT_TELLS(text, part)                               \
    do {                                                       \
        const std::string told = (text);                       \
        EXPECT_NE(told.find(part), std::string::npos) << told; \
    } while (false)

TEST_F(Tls, AServerWhoseAuthorityIsTrustedIsAskedAndKept) {
    FakeServer server(files(certificates.make("server", "IP:127.0.0.1")));
    server.answer("GET /x", {{200, "{}"}});
    Transport transport(options(server));
    ASSERT_TRUE(transport.ask({.path = "/x"}).ok());
    ASSERT_TRUE(transport.ask({.path = "/x"}).ok());
    EXPECT_EQ(server.connections(), 1U);
}

TEST_F(Tls, TheTokenGoesOverTlsToAnyMachine) {
    FakeServer server(files(certificates.make("server", "IP:127.0.0.1")));
    Options wanted = options(server);
    wanted.token = "gw_1";
    ASSERT_TRUE(ask(wanted).ok());
    EXPECT_EQ(server.seen().at(0).headers.at("authorization"), "Bearer gw_1");
}

TEST_F(Tls, AnAuthorityThatIsNotTrustedIsToldWithTheRemedy) {
    FakeServer server(files(certificates.make("server", "IP:127.0.0.1")));
    Options wanted = options(server);
    wanted.token = "gw_secret";
    wanted.ca_file.clear();
    EXPECT_TELLS(trouble(wanted), "is not trusted");
    EXPECT_TELLS(trouble(wanted), "--ca-file");
    const TestCertificates others;
    wanted.ca_file = others.ca_file();
    EXPECT_TELLS(trouble(wanted), "is not trusted");
    EXPECT_TRUE(server.seen().empty()) << "nobody unknown may see the token";
}

TEST_F(Tls, ACertificateForAnotherNameIsRefusedUnlessThatNameIsExpected) {
    FakeServer server(files(certificates.make("server", "DNS:gw.example")));
    Options wanted = options(server);
    EXPECT_TELLS(trouble(wanted), "is for another name");
    EXPECT_TELLS(trouble(wanted), "--server-name");
    wanted.server_name = "gw.example";
    EXPECT_EQ(trouble(wanted), "");
    wanted.server_name = "other.example";
    EXPECT_TELLS(trouble(wanted), "is for another name");
}

TEST_F(Tls, ACertificateThatIsOverIsRefused) {
    FakeServer server(files(certificates.make("server", "IP:127.0.0.1", -1)));
    EXPECT_TELLS(trouble(options(server)), "certificate has expired");
}

TEST_F(Tls, AServerWithoutTlsIsNoticed) {
    FakeServer server;
    Options wanted = options(server);
    wanted.server.replace(0, 4, "https");
    EXPECT_TELLS(trouble(wanted), "does it speak plain http://?");
}

TEST_F(Tls, TheClientsCertificateIsShown) {
    FakeServer server(files(certificates.make("server", "IP:127.0.0.1"), certificates.ca_file()));
    Options wanted = options(server);
    // Told after the handshake (TLS 1.3), and only where the alert comes before the connection's end does.
    EXPECT_TELLS(ask(wanted).problem().detail, "--client-cert");
    const testing::CertificateFiles mine = certificates.make("me", "");
    wanted.client_certificate = mine.certificate;
    wanted.client_key = mine.key;
    EXPECT_EQ(trouble(wanted), "");
}

TEST_F(Tls, FilesThatCannotBeUsedAreNamed) {
    FakeServer server(files(certificates.make("server", "IP:127.0.0.1")));
    Options wanted = options(server);
    wanted.ca_file = "/nonexistent/ca.pem";
    EXPECT_TELLS(trouble(wanted), "/nonexistent/ca.pem");
    wanted = options(server);
    wanted.client_certificate = certificates.make("me", "").certificate;
    wanted.client_key = certificates.make("other", "").key;
    EXPECT_TELLS(trouble(wanted), wanted.client_key);
}

TEST_F(Tls, ANewAuthorityIsTakenUpWhenTheFileChanges) {
    const TestCertificates others;
    FakeServer server(files(certificates.make("server", "IP:127.0.0.1")));
    Options wanted = options(server);
    wanted.ca_file = certificates.folder() / "trusted.pem";
    std::filesystem::copy_file(others.ca_file(), wanted.ca_file);
    Transport transport(wanted);
    ASSERT_FALSE(transport.ask({.path = "/x"}).ok());
    std::filesystem::copy_file(certificates.ca_file(), wanted.ca_file,
                               std::filesystem::copy_options::overwrite_existing);
    EXPECT_TRUE(transport.ask({.path = "/x"}).ok());
}

}  // namespace
}  // namespace guideway::client
