// Who we are and where the server is: kubeconfig, service account, and credentials that rotate.
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "controlplane/kubernetes/client/credentials.h"
#include "controlplane/kubernetes/client/in_cluster.h"
#include "controlplane/kubernetes/client/kubeconfig.h"
#include "controlplane/kubernetes/client/server_address.h"

namespace guideway::kubernetes {
namespace {

namespace fs = std::filesystem;

class Folder {
  public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "gw-access-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~Folder() { fs::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string write(const std::string& name, const std::string& text) const {
        fs::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name, std::ios::trunc) << text;
        return path_ / name;
    }
    std::string operator/(const std::string& name) const { return path_ / name; }

  private:
    fs::path path_;
};

const std::string kWhole = R"(apiVersion: v1
kind: Config
current-context: prod
clusters:
- name: lab
  cluster: {server: "http://127.0.0.1:8080"}
- name: main
  cluster:
    server: https://[fd00::1]:6443/k8s/a
    tls-server-name: kubernetes.default
    certificate-authority: pki/ca.crt
contexts:
- name: prod
  context: {cluster: main, user: root, namespace: infra}
- name: lab
  context: {cluster: lab, user: ""}
users:
- name: root
  user:
    client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==
    client-key: pki/key.pem
preferences: {colors: true}
)";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
}

struct Files : Folder {
    Files() {
        write("pki/ca.crt", "x");
        write("pki/key.pem", "x");
    }
    contract::Decoded<Access> read(const std::string& text, const KubeconfigOptions& options = {}) const {
        return read_kubeconfig(write("kc", text), options);
    }
    /// "field message" of the only fault.
    std::string fault(const std::string& text, const KubeconfigOptions& options = {}) const {
        const auto access = read(text, options);
        if (access.faults.size() != 1) return std::to_string(access.faults.size()) + " faults";
        EXPECT_EQ(access.faults[0].message.find(*this / "kc"), 0U) << "the file is named";
        return access.faults[0].field + " " + access.faults[0].message;
    }
};

TEST(Kubeconfig, ReadsTheCurrentContextWithPathsOfItsOwnFolder) {
    const Files files;
    const auto access = files.read(kWhole);
    ASSERT_TRUE(access.ok()) << access.faults.front().message;
    EXPECT_EQ(access.value->server, "https://[fd00::1]:6443/k8s/a");
    EXPECT_EQ(access.value->server_name, "kubernetes.default");
    EXPECT_EQ(access.value->authority.file, files / "pki/ca.crt");
    EXPECT_EQ(access.value->client_certificate.data, "-----BEGIN CERTIFICATE-----\n");
    EXPECT_EQ(access.value->client_key.file, files / "pki/key.pem");
    EXPECT_EQ(access.value->namespace_, "infra");
    EXPECT_EQ(access.value->origin, "context prod of " + (files / "kc"));
}

TEST(Kubeconfig, ReadsAnotherContextByNameAndAUserOfNoName) {
    const Files files;
    const auto access = files.read(kWhole, {.context = "lab"});
    ASSERT_TRUE(access.ok());
    EXPECT_EQ(access.value->server, "http://127.0.0.1:8080");
    EXPECT_TRUE(access.value->client_key.empty());
}

TEST(Kubeconfig, TokenFilesWinOverTokens) {
    const Files files;
    files.write("t", "abc");
    const std::string user = R"(    client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==
    client-key: pki/key.pem)";
    auto access = files.read(replaced(kWhole, user, "    token: inline"));
    ASSERT_TRUE(access.ok());
    EXPECT_EQ(access.value->token, "inline");
    access = files.read(replaced(kWhole, user, "    token: inline\n    tokenFile: t"));
    ASSERT_TRUE(access.ok());
    EXPECT_EQ(access.value->token, "");
    EXPECT_EQ(access.value->token_file, files / "t");
}

TEST(Kubeconfig, EachFaultNamesFileAndField) {
    const Files files;
    const auto starts = [&](const std::string& from, const std::string& to, const std::string& field,
                            const std::string& words) {
        const std::string fault = files.fault(replaced(kWhole, from, to));
        EXPECT_EQ(fault.find(field + " "), 0U) << fault;
        EXPECT_NE(fault.find(words), std::string::npos) << fault;
    };
    const std::string key = "    client-key: pki/key.pem";
    starts("current-context: prod", "current-context: x", "current-context", "allowed one of prod, lab");
    starts("current-context: prod", "a: b", "current-context", "allowed one of prod, lab");
    starts("cluster: main", "cluster: gone", "contexts[0].context.cluster", "allowed one of lab, main");
    starts("user: root", "user: gone", "contexts[0].context.user", "allowed one of root");
    starts("https://[fd00::1]:6443/k8s/a", "ftp://x", "clusters[1].cluster.server", "https://HOST");
    starts("pki/ca.crt", "pki/none", "clusters[1].cluster.certificate-authority", "pki/none");
    starts("kind: Config", "kind: Pod", "kind", "allowed Config");
    starts("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==", "not-base64", "users[0].user.client-certificate-data", "base64");
    starts(key, "", "users[0].user.client-key", "go together");
    starts(key, key + "\n    exec: {command: aws}", "users[0].user.exec", "plugin");
    starts(key, key + "\n    auth-provider: {name: gcp}", "users[0].user.auth-provider", "plugin");
    starts(key, key + "\n    username: me", "users[0].user.username", "password");
    starts(key, key + "\n    password: me", "users[0].user.password", "password");
    starts(key, key + "\n    as: admin", "users[0].user.as", "act as");
    starts(key, key + "\n    token: [1]", "users[0].user.token", "allowed text");
    starts("    tls-server-name", "    proxy-url: http://p\n    tls-server-name", "clusters[1].cluster.proxy-url",
           "proxy");
    EXPECT_NE(files.fault("a: [").find("line 1"), std::string::npos);
    EXPECT_NE(files.fault("- 1").find("found no mapping"), std::string::npos);
    EXPECT_EQ(read_kubeconfig(files / "none").faults.size(), 1U);
    EXPECT_NE(files.fault(kWhole, {.context = "x"}).find("contexts "), std::string::npos);
}

TEST(Kubeconfig, AServerThatIsNotVerifiedNeedsAnOptionOfItsOwn) {
    const Files files;
    const std::string text = replaced(kWhole, "certificate-authority: pki/ca.crt", "insecure-skip-tls-verify: true");
    EXPECT_EQ(files.fault(text).find("clusters[1].cluster.insecure-skip-tls-verify"), 0U);
    const auto access = files.read(text, {.allow_insecure = true});
    ASSERT_TRUE(access.ok());
    EXPECT_TRUE(access.value->insecure);
}

TEST(InCluster, ReadsEnvironmentAndServiceAccount) {
    const Folder folder;
    std::map<std::string, std::string> environment = {{"KUBERNETES_SERVICE_HOST", "fd00::1"},
                                                      {"KUBERNETES_SERVICE_PORT", "443"}};
    const InClusterOptions options{.folder = folder / "sa",
                                   .environment = [&](const std::string& name) { return environment[name]; }};
    EXPECT_FALSE(is_in_cluster(options));
    auto access = in_cluster_access(options);
    ASSERT_EQ(access.faults.size(), 2U);
    EXPECT_EQ(access.faults[0].field, folder / "sa/token");
    folder.write("sa/token", "t");
    folder.write("sa/ca.crt", "c");
    folder.write("sa/namespace", "infra\n");
    EXPECT_TRUE(is_in_cluster(options));
    access = in_cluster_access(options);
    ASSERT_TRUE(access.ok());
    EXPECT_EQ(access.value->server, "https://[fd00::1]:443");
    EXPECT_EQ(access.value->namespace_, "infra");
    EXPECT_EQ(access.value->token_file, folder / "sa/token");
    environment = {{"KUBERNETES_SERVICE_PORT", "0"}};
    EXPECT_EQ(in_cluster_access(options).faults.size(), 2U);
}

TEST(ServerAddress, TakesPrefixesAndAddressesOfBothFamilies) {
    const auto with_prefix = parse_server_address("https://[fd00::1]:6443/k8s/a//");
    ASSERT_TRUE(with_prefix);
    EXPECT_EQ(with_prefix->url.host, "fd00::1");
    EXPECT_EQ(with_prefix->url.port, 6443);
    EXPECT_EQ(with_prefix->prefix, "/k8s/a");
    ASSERT_TRUE(parse_server_address("https://api.example"));
    EXPECT_EQ(parse_server_address("https://api.example")->url.port, 443);
    EXPECT_FALSE(parse_server_address("https://"));
    EXPECT_FALSE(parse_server_address("https://a/b?c"));
    EXPECT_FALSE(parse_server_address(""));
}

TEST(Credentials, AFileIsReadAgainWhenItChanges) {
    const Folder folder;
    const std::string file = folder.write("token", "one\n");
    std::chrono::steady_clock::time_point now{std::chrono::seconds(1000)};
    Credentials credentials({.server = "x", .token_file = file}, [&] { return now; });
    ASSERT_TRUE(credentials.update()) << credentials.error();
    EXPECT_EQ(credentials.token(), "one");
    folder.write("token", "two-longer");
    ASSERT_TRUE(credentials.update());
    EXPECT_EQ(credentials.token(), "two-longer");
    EXPECT_EQ(credentials.who(), "the token in " + file);
}

TEST(Credentials, WhatCannotBeReadAnyMoreIsUsedOn) {
    const Folder folder;
    const std::string file = folder.write("token", "one");
    Credentials credentials({.server = "x", .token_file = file});
    ASSERT_TRUE(credentials.update());
    fs::remove(file);
    EXPECT_TRUE(credentials.update());
    EXPECT_EQ(credentials.token(), "one");
    EXPECT_NE(credentials.error().find(file), std::string::npos);
    folder.write("token", "");
    EXPECT_TRUE(credentials.update());
    EXPECT_NE(credentials.error().find("nothing in it"), std::string::npos);
    folder.write("token", "two");
    EXPECT_TRUE(credentials.refresh());
    EXPECT_EQ(credentials.token(), "two");
    EXPECT_EQ(credentials.error(), "");
    EXPECT_FALSE(credentials.refresh());
}

TEST(Credentials, WhatWasNeverReadIsRefusedByName) {
    const Folder folder;
    Credentials missing({.server = "x", .token_file = folder / "none"});
    EXPECT_FALSE(missing.update());
    EXPECT_NE(missing.error().find(folder / "none"), std::string::npos);
    Credentials two({.server = "x", .token_file = folder.write("two", "a b")});
    EXPECT_FALSE(two.update());
    Credentials folded({.server = "x", .token_file = folder / ""});
    EXPECT_FALSE(folded.update());
    Credentials header({.server = "x", .token = "a\r\nX-Evil: 1"});
    EXPECT_FALSE(header.update());
}

TEST(Credentials, AChangedCertificateMakesAnotherGenerationAndAChangedTokenDoesNot) {
    const Folder folder;
    Access access{.server = "x", .token_file = folder.write("t", "a")};
    access.client_certificate.file = folder.write("c", "one");
    access.client_key.file = folder.write("k", "one");
    Credentials credentials(access);
    ASSERT_TRUE(credentials.update());
    const auto generation = credentials.tls_generation();
    folder.write("t", "other");
    credentials.update();
    EXPECT_EQ(credentials.tls_generation(), generation);
    folder.write("k", "another");
    credentials.update();
    EXPECT_GT(credentials.tls_generation(), generation);
    EXPECT_EQ(credentials.client_key(), "another");
}

}  // namespace
}  // namespace guideway::kubernetes
