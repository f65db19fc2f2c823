#include "controlplane/settings.h"

#include <gtest/gtest.h>

namespace guideway::controlplane {
namespace {

std::string report_of(const std::string& section) {
    config::Document document = config::Document::from_text(
        "controlplane: { store = \"/tmp/s.db\"; dataplane_socket = \"/tmp/d.sock\"; " + section + " };\n",
        "guideway.cfg");
    read_settings(document);
    document.finish();
    return document.report();
}

TEST(Settings, DefaultsListenOnLoopback) {
    config::Document document = config::Document::from_text(
        "controlplane: { store = \"/tmp/s.db\"; dataplane_socket = \"/tmp/d.sock\"; };\ndataplane: { any = 1; };\n",
        "f");
    const Settings settings = read_settings(document);
    document.finish();
    EXPECT_TRUE(document.ok()) << document.report();
    EXPECT_EQ(settings.listen, (std::vector<ListenAddress>{{"127.0.0.1", 8870}}));
    EXPECT_FALSE(settings.metrics_listen);
    EXPECT_FALSE(settings.tls);
    EXPECT_EQ(settings.admin_token_file, "/tmp/admin.token");
    EXPECT_EQ(settings.audit.file, "/tmp/audit.log");
    EXPECT_FALSE(settings.audit.required);
    EXPECT_EQ(settings.log_level, "info");
}

TEST(Settings, ProbesMayCarryAMark) {
    EXPECT_EQ(report_of("health: { mark = 1002; };"), "");
    const std::string report = report_of("health: { mark = 0; };");
    EXPECT_NE(report.find("controlplane.health.mark: found 0, allowed 1..2147483647"), std::string::npos) << report;
}

TEST(Settings, ListensOnEitherFamilysLoopback) {
    EXPECT_EQ(report_of("listen = \"[::1]:9000\";"), "");
    EXPECT_EQ(report_of("listen = \"127.0.0.2:9000\";"), "");
    EXPECT_EQ(report_of("listen = \"localhost:9000\";"), "");
    EXPECT_EQ(parse_listen("[::1]:9000")->host, "::1");
    EXPECT_EQ(parse_listen("127.0.0.1:9000")->port, 9000);
}

TEST(Settings, RefusesToListenForOutsidersAndSaysWhatToDo) {
    for (const char* text : {"0.0.0.0:8870", "192.0.2.1:8870", "[::]:8870"}) {
        const std::string report = report_of("listen = \"" + std::string(text) + "\";");
        EXPECT_NE(report.find("controlplane.listen"), std::string::npos) << text << ": " << report;
        EXPECT_NE(report.find("with tls"), std::string::npos) << report;
    }
}

TEST(Settings, RefusesWhatIsNoAddressAndPort) {
    for (const char* text : {"8870", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:80x",
                             "::1:8870", "[127.0.0.1]:80", "example.org:80", "[::1]8870"}) {
        EXPECT_FALSE(parse_listen(text)) << text;
        EXPECT_NE(report_of("listen = \"" + std::string(text) + "\";").find("allowed"), std::string::npos) << text;
    }
}

Settings settings_of(const std::string& section, std::string* report = nullptr) {
    config::Document document = config::Document::from_text(
        "controlplane: { store = \"/tmp/s.db\"; dataplane_socket = \"/tmp/d.sock\"; " + section + " };\n",
        "guideway.cfg");
    Settings settings = read_settings(document);
    document.finish();
    if (report != nullptr) *report = document.report();
    return settings;
}

constexpr const char* kTls = "tls: { certificate = \"/c\"; key = \"/k\"; };";

TEST(Settings, ListensOnSeveralAddressesAndOnAnyWithTls) {
    std::string report;
    const Settings settings = settings_of(
        std::string("listen = [ \"127.0.0.1:8870\", \"192.0.2.1:8870\", \"[::]:8870\" ]; ") + kTls, &report);
    EXPECT_EQ(report, "");
    ASSERT_EQ(settings.listen.size(), 3U);
    EXPECT_EQ(settings.listen[2].to_string(), "[::]:8870");
    EXPECT_FALSE(settings.server.tls_on_loopback);
    EXPECT_EQ(settings.tls->clients, rest::ClientCertificates::none);
    EXPECT_NE(report_of("listen = [ \"127.0.0.1:8870\", \"192.0.2.1:8870\" ];").find("controlplane.listen[1]"),
              std::string::npos);
    EXPECT_NE(report_of("listen = [ \"127.0.0.1:8870\", \"127.0.0.1:8870\" ];").find("twice"), std::string::npos);
    EXPECT_NE(report_of("listen = 8870;").find("listen"), std::string::npos);
}

TEST(Settings, MetricsAreOpenOnLoopbackAndElsewhereOnlyWhereSaid) {
    EXPECT_TRUE(settings_of("metrics_listen = \"127.0.0.1:8871\";").metrics_open);
    EXPECT_FALSE(settings_of("metrics_listen = \"127.0.0.1:8871\"; metrics_open = false;").metrics_open);
    EXPECT_FALSE(settings_of(std::string("metrics_listen = \"192.0.2.1:8871\"; ") + kTls).metrics_open);
    EXPECT_EQ(report_of("metrics_listen = \"192.0.2.1:8871\"; metrics_open = true;"), "");
    EXPECT_NE(report_of("metrics_listen = \"192.0.2.1:8871\";").find("metrics_open = true"), std::string::npos);
    EXPECT_NE(report_of("metrics_open = true;").find("without metrics_listen"), std::string::npos);
    EXPECT_NE(report_of("metrics_listen = \"127.0.0.1:8870\";").find("listen has not"), std::string::npos);
}

TEST(Settings, ACertificatesRoleNamesItsCluster) {
    const auto with_role = [](const std::string& role) {
        return "tls: { certificate = \"/c\"; key = \"/k\"; client_ca = \"/a\"; client_certificates = \"required\"; "
               "roles = ( { " +
               role + " } ); };";
    };
    std::string report;
    const Settings settings =
        settings_of(with_role("common_name = \"x\"; role = \"controller\"; cluster = \"prod\";"), &report);
    EXPECT_EQ(report, "");
    EXPECT_EQ(settings.tls->clients, rest::ClientCertificates::required);
    EXPECT_EQ(settings.certificate_roles, (std::vector<auth::CertificateRule>{{"x", rest::Role::controller, "prod"}}));
    EXPECT_NE(report_of(with_role("common_name = \"x\"; role = \"controller\";")).find("roles[0].cluster"),
              std::string::npos);
    EXPECT_NE(
        report_of(with_role("common_name = \"x\"; role = \"admin\"; cluster = \"prod\";")).find("roles[0].cluster"),
        std::string::npos);
    EXPECT_NE(report_of(with_role("common_name = \"x\"; role = \"root\";")).find("roles[0].role"), std::string::npos);
    EXPECT_NE(
        report_of(
            "tls: { certificate = \"/c\"; key = \"/k\"; roles = ( { common_name = \"x\"; role = \"admin\"; } ); };")
            .find("without client_ca"),
        std::string::npos);
}

TEST(Settings, LimitsThatAreNotSaidFollowTheNumberOfConnections) {
    std::string report;
    const Settings settings = settings_of("limits: { connections = 100; };", &report);
    EXPECT_EQ(report, "");
    EXPECT_EQ(settings.server.max_connections, 100U);
    EXPECT_EQ(settings.server.max_streams, 50U);
    EXPECT_EQ(settings.server.max_waiting_requests, 50U);
    EXPECT_EQ(settings_of("").server.max_streams, 512U);
    EXPECT_NE(report_of("limits: { connections = 100; watches = 101; };").find("limits.watches"), std::string::npos);
    EXPECT_NE(report_of("limits: { conections = 100; };").find("conections"), std::string::npos);
}

TEST(Settings, NamesWhatIsMissingAndWhatIsUnknown) {
    config::Document document = config::Document::from_text("controlplane: { stroe = \"x\"; };\n", "f");
    read_settings(document);
    document.finish();
    const std::string report = document.report();
    EXPECT_NE(report.find("controlplane.store"), std::string::npos) << report;
    EXPECT_NE(report.find("dataplane_socket"), std::string::npos) << report;
    EXPECT_NE(report.find("stroe"), std::string::npos) << report;
    EXPECT_NE(report_of("log: { level = \"loud\"; };").find("log.level"), std::string::npos);
}

}  // namespace
}  // namespace guideway::controlplane
