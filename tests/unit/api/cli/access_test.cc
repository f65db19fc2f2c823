// Who is asking, and tokens: what is sent, what is shown once, what is said where it is not enough.
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "api/resources/token_codec.h"
#include "tests/unit/api/cli/cli_fixture.h"
#include "tests/unit/api/client/test_certificates.h"

namespace guideway::cli {
namespace {

namespace fs = std::filesystem;

class Access : public Cli {
  protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "guideway-access-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder = name;
    }
    void TearDown() override {
        for (const char* name : {"GUIDEWAY_TOKEN", "GUIDEWAY_TOKEN_FILE"}) ::unsetenv(name);
        fs::remove_all(folder);
    }
    std::string file_with(const std::string& token) const {
        const fs::path path = folder / "given.token";
        std::ofstream(path) << token << '\n';
        fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
        return path;
    }
    static std::string text_of(const fs::path& path) {
        std::ifstream file(path);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    std::string sent() const {
        const auto headers = server.seen().back().headers;
        const auto found = headers.find("authorization");
        return found == headers.end() ? "" : found->second;
    }
    fs::path folder;
};

resources::Token token(const std::string& secret = "gw_id1_secret") {
    resources::Token object;
    object.metadata.name = "ci";
    object.spec.role = "controller";
    object.spec.cluster = "prod";
    object.status.secrets = {{"id1", "2026-01-01T00:00:00Z", ""}};
    object.status.token = secret;
    return object;
}

TEST_F(Access, TheFileGivenIsBeforeTheEnvironment) {
    guideway({"--token-file", file_with("gw_file"), "status"});
    EXPECT_EQ(sent(), "Bearer gw_file");
    ::setenv("GUIDEWAY_TOKEN_FILE", file_with("gw_other").c_str(), 1);
    guideway({"status"});
    EXPECT_EQ(sent(), "Bearer gw_other");
    ::setenv("GUIDEWAY_TOKEN", "gw_env", 1);
    guideway({"status"});
    EXPECT_EQ(sent(), "Bearer gw_env");
    guideway({"--token-file", file_with("gw_file"), "status"});
    EXPECT_EQ(sent(), "Bearer gw_file");
}

TEST_F(Access, ATokenFileThatOthersCanReadIsRefused) {
    const std::string file = file_with("gw_file");
    fs::permissions(file, fs::perms::others_read, fs::perm_options::add);
    const Outcome done = guideway({"--token-file", file, "status"});
    EXPECT_EQ(done.code, kUsage);
    EXPECT_NE(done.err.find(file), std::string::npos);
    EXPECT_TRUE(server.seen().empty());
}

TEST_F(Access, WhoIsNotKnownIsToldWhatWasSentAndWhatToDo) {
    server.answer("GET /v1/status",
                  {{401, R"({"status": 401, "reason": "Unauthorized", "detail": "this needs a token"})"},
                   {403, R"({"status": 403, "reason": "Forbidden", "detail": "this needs the role admin"})"}});
    ::setenv("GUIDEWAY_TOKEN", "gw_env", 1);
    const Outcome unknown = guideway({"status"});
    EXPECT_EQ(unknown.code, kFailed);
    EXPECT_EQ(unknown.err,
              "guideway: this needs a token (the token sent is that of the environment variable GUIDEWAY_TOKEN)\n"
              "  Root on the appliance needs no option: the token is found in /var/lib/guideway/admin.token.\n"
              "  Elsewhere give --token-file FILE, GUIDEWAY_TOKEN_FILE or GUIDEWAY_TOKEN; an admin makes one with "
              "`guideway token create`.\n");
    EXPECT_NE(guideway({"status"}).err.find("Use a token of a role that may"), std::string::npos);
}

TEST_F(Access, OverTlsWithAnAuthorityAndACertificate) {
    const testing::TestCertificates certificates;
    const testing::CertificateFiles theirs = certificates.make("server", "IP:127.0.0.1");
    const testing::CertificateFiles mine = certificates.make("me", "");
    testing::FakeServer tls({theirs.certificate, theirs.key, certificates.ca_file()});
    tls.answer("GET /v1/nodes/node-1", {{200, resources::encode(node())}});
    const std::vector<std::string> get{"get", "node", "node-1", "-o", "name"};
    const auto run_tls = [&](std::vector<std::string> more) {
        more.insert(more.begin(), {"--server", tls.url()});
        more.insert(more.end(), get.begin(), get.end());
        return run_with(more);
    };
    const Outcome good =
        run_tls({"--ca-file", certificates.ca_file(), "--client-cert", mine.certificate, "--client-key", mine.key});
    EXPECT_EQ(good.out, "node/node-1\n") << good.err;
    const Outcome untrusted = run_tls({"--client-cert", mine.certificate, "--client-key", mine.key});
    EXPECT_EQ(untrusted.code, kUnreachable);
    EXPECT_NE(untrusted.err.find("--ca-file"), std::string::npos) << untrusted.err;
}

TEST_F(Access, ANewTokenIsShownOnceWithHowToUseIt) {
    server.answer("PUT /v1/tokens/ci", {{201, resources::encode(token())}});
    const Outcome done = guideway({"token", "create", "ci", "--role", "controller", "--cluster", "prod"});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_EQ(done.out,
              "token ci created (controller of cluster prod, never expires)\n\n    gw_id1_secret\n\n"
              "This is shown once. Keep it in a file that only its user can read (chmod 600), and use it so:\n"
              "    guideway --server " +
                  server.url() +
                  " --token-file ci.token status\n"
                  "    curl -H \"Authorization: Bearer $(cat ci.token)\" " +
                  server.url() + "/v1/status\n");
    EXPECT_EQ(server.seen().at(0).headers.at("if-none-match"), "*");
    EXPECT_NE(guideway({"token", "create", "ci", "--role", "controller", "--cluster", "prod", "-o", "json"})
                  .out.find("\"token\": \"gw_id1_secret\""),
              std::string::npos);
}

TEST_F(Access, ASecretWrittenToAFileIsForItsOwnerAloneAndNotShown) {
    server.answer("PUT /v1/tokens/ci", {{201, resources::encode(token())}});
    const std::string file = folder / "ci.token";
    const Outcome done =
        guideway({"token", "create", "ci", "--role", "controller", "--cluster", "prod", "--out", file});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_EQ(done.out.find("gw_id1_secret"), std::string::npos);
    EXPECT_EQ(text_of(file), "gw_id1_secret\n");
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    // And it can be used at once.
    guideway({"--token-file", file, "status"});
    EXPECT_EQ(sent(), "Bearer gw_id1_secret");
    const std::size_t asked = server.seen().size();
    EXPECT_EQ(guideway({"token", "rotate", "ci", "--out", file}).code, kUsage);
    EXPECT_EQ(server.seen().size(), asked) << "no secret is made that cannot be kept";
}

TEST_F(Access, ExpiryIsATimeFromNowOrAMoment) {
    server.answer("PUT /v1/tokens/ci", {{201, resources::encode(token())}});
    const auto expires_of = [&](const std::string& text) -> std::string {
        if (guideway({"token", "create", "ci", "--expires", text}).code != kOk) return "refused";
        return resources::decode_token(server.seen().back().body, "ci").value.value().spec.expires_at;
    };
    EXPECT_EQ(expires_of("2099-01-31T00:00:00Z"), "2099-01-31T00:00:00Z");
    EXPECT_EQ(expires_of("never"), "");
    std::tm time{};
    ASSERT_NE(strptime(expires_of("90d").c_str(), "%Y-%m-%dT%H:%M:%SZ", &time), nullptr);
    EXPECT_NEAR(static_cast<double>(timegm(&time) - std::time(nullptr)), 90 * 86400, 60);
    for (const char* text :
         {"90", "d", "0d", "-1d", "1y", "1d2h", "soon", "99999999999999999999d", "2099-02-30T00:00:00Z"}) {
        EXPECT_EQ(expires_of(text), "refused") << text;
    }
}

TEST_F(Access, ATokenThatCannotBeIsNotAskedFor) {
    EXPECT_EQ(guideway({"token", "create", "ci", "--role", "root"}).code, kUsage);
    EXPECT_EQ(guideway({"token", "create", "ci", "--role", "controller"}).code, kUsage);
    EXPECT_EQ(guideway({"token", "create", "ci", "--role", "viewer", "--cluster", "prod"}).code, kUsage);
    EXPECT_EQ(guideway({"token", "create", "a/b"}).code, kUsage);
    EXPECT_EQ(guideway({"token", "create", "ci", "-o", "name"}).code, kUsage);
    EXPECT_EQ(guideway({"token"}).code, kUsage);
    EXPECT_TRUE(server.seen().empty());
}

TEST_F(Access, ATokenThatIsThereAlreadySaysWhatToDo) {
    server.answer("PUT /v1/tokens/ci",
                  {{412, R"({"status": 412, "reason": "PreconditionFailed", "detail": "it exists"})"}});
    const Outcome done = guideway({"token", "create", "ci"});
    EXPECT_EQ(done.code, kFailed);
    EXPECT_NE(done.err.find("`guideway token rotate`"), std::string::npos) << done.err;
}

TEST_F(Access, RotatingSaysHowLongTheOldSecretLives) {
    resources::Token rotated = token("gw_id2_secret");
    rotated.status.secrets.insert(rotated.status.secrets.begin(), {"id2", "2026-01-02T00:00:00Z", ""});
    server.answer("POST /v1/tokens/ci/rotate", {{200, resources::encode(rotated)}});
    const Outcome done = guideway({"token", "rotate", "ci"});
    EXPECT_NE(done.out.find("    gw_id2_secret\n"), std::string::npos) << done.out;
    EXPECT_NE(done.out.find("stays valid until the next rotation"), std::string::npos) << done.out;
}

TEST_F(Access, TokensAreListedWithoutSecretsAndDeleted) {
    resources::Token listed = token("");
    listed.status.secrets.push_back({"id0", "2025-01-01T00:00:00Z", ""});
    resources::List<resources::Token> list;
    list.items = {listed};
    server.answer("GET /v1/tokens?limit=500", {{200, resources::encode(list)}});
    EXPECT_EQ(guideway({"token", "list"}).out,
              "NAME   ROLE         CLUSTER   EXPIRES   SECRETS   LAST USED   AGE\n"
              "ci     controller   prod      never     2         never       -\n");
    EXPECT_NE(guideway({"token", "list", "-o", "wide"}).out.find("id1,id0"), std::string::npos);
    server.answer("GET /v1/tokens/ci", {{200, resources::encode(listed)}});
    server.answer("DELETE /v1/tokens/ci", {{204, ""}});
    EXPECT_EQ(guideway({"token", "delete", "ci"}).out, "token ci deleted; its secrets are refused from now on\n");
    EXPECT_EQ(guideway({"token", "delete", "other"}).code, kNotFound);
}

}  // namespace
}  // namespace guideway::cli
