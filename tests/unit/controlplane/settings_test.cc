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
