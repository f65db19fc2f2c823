// The section cloud_controller of guideway.cfg: each bad value is told with its field and what is allowed. And what /metrics counts.
#include "controlplane/kubernetes/settings.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "controlplane/kubernetes/controller_metrics.h"

namespace guideway::kubernetes {
namespace {

std::string report_of(const std::string& section) {
    config::Document document = config::Document::from_text("cloud_controller: { " + section + " };\n", "guideway.cfg");
    read_settings(document);
    document.finish();
    return document.report();
}

TEST(CloudControllerSettings, EachBadValueNamesItsField) {
    EXPECT_EQ(report_of(""), "");
    for (const auto& [section, field] :
         {std::pair{"cluster = \"Not A Label\";", "cluster"}, std::pair{"workers = 0;", "workers"},
          std::pair{"workers = 65;", "workers"}, std::pair{"pods = \"maybe\";", "pods"},
          std::pair{"full_sync_seconds = 9;", "full_sync_seconds"},
          std::pair{"requests_per_second = -1;", "requests_per_second"},
          std::pair{"nodes: { health_check_port = 65536; };", "health_check_port"},
          std::pair{"leader_election: { lease_seconds = 1; };", "lease_seconds"},
          std::pair{"leader_election: { name = \"A b\"; };", "name"}, std::pair{"log: { level = \"loud\"; };", "level"},
          std::pair{"kubeconfig = \"\";", "kubeconfig"}, std::pair{"brand_new = 1;", "brand_new"}}) {
        const std::string report = report_of(section);
        EXPECT_NE(report.find(field), std::string::npos) << section << " -> \"" << report << "\"";
    }
}

TEST(CloudControllerSettings, WhatDoesNotFitTogetherIsRefused) {
    EXPECT_EQ(check(Settings()), "");
    Settings settings;
    settings.also_without_class = true;
    EXPECT_TRUE(check(settings).starts_with("also_without_class: found true")) << check(settings);
    settings = {};
    settings.leader_election = true;
    EXPECT_EQ(check(settings), "");
    settings.renew_seconds = settings.lease_seconds;
    EXPECT_TRUE(check(settings).starts_with("leader_election.renew_seconds: found 15")) << check(settings);
    settings.renew_seconds = 10;
    settings.retry_seconds = 9;
    EXPECT_TRUE(check(settings).starts_with("leader_election.retry_seconds: found 9")) << check(settings);
    settings = {};
    settings.cluster = "No Label";
    EXPECT_TRUE(check(settings).starts_with("cluster: found \"No Label\"")) << check(settings);
}

TEST(ControllerMetrics, LooksAreCountedByKindAndFailuresByReason) {
    ControllerMetrics metrics;
    metrics.synced("service", "", 0.001);
    metrics.synced("service", "NameTaken", 0.002);
    ControllerState state;
    state.leader = true;
    state.load_balancers = 3;
    const std::string text = metrics.text(state);
    for (const char* line : {"guideway_cloud_controller_sync_duration_seconds_count{kind=\"service\"} 2\n",
                             "guideway_cloud_controller_leader 1\n", "guideway_cloud_controller_load_balancers 3\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line << text;
    }
    EXPECT_NE(text.find("reason=\"NameTaken\""), std::string::npos);
    EXPECT_EQ(text.find("reason=\"\""), std::string::npos) << "a success is no error";
}

}  // namespace
}  // namespace guideway::kubernetes
