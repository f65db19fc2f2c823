#include "dataplane/persist/kept_report.h"

#include <gtest/gtest.h>

namespace guideway::persist {
namespace {

TEST(KeptReport, TellsWhatWasKeptAndWhyTheRestWasNot) {
    KeptReport report;
    report.kept(123456);
    for (int i = 0; i < 12; ++i) report.lost("their SNAT address 10.0.0.9 is no longer configured");
    report.lost("the table is full", 3);
    report.lost("nothing", 0);
    EXPECT_EQ(
        report.text("/run/x"),
        "123456 connections kept of the file /run/x; 3 could not be kept: the table is full; 12 could not be kept: "
        "their SNAT address 10.0.0.9 is no longer configured");
    EXPECT_EQ(report.kept_count(), 123456U);
    EXPECT_EQ(report.lost_count(), 15U);
}

TEST(KeptReport, OneIsAConnection) {
    KeptReport report;
    report.kept();
    EXPECT_EQ(report.text("/run/x"), "1 connection kept of the file /run/x");
}

}  // namespace
}  // namespace guideway::persist
