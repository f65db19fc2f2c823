#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "api/cli/drop_help.h"
#include "api/cli/show.h"

namespace guideway::cli {
namespace {

contract::Counters counters_of(std::uint64_t started, std::vector<std::vector<contract::DropCounter>> by_worker) {
    contract::Counters counters;
    counters.started_at_unix_seconds = started;
    for (auto& drops : by_worker) {
        contract::WorkerCounters& worker = counters.workers.emplace_back();
        worker.worker = static_cast<std::uint32_t>(counters.workers.size() - 1);
        worker.drops = std::move(drops);
    }
    return counters;
}

std::string shown(const std::vector<DropRow>& rows, bool rates = false, bool by_worker = false) {
    std::ostringstream out;
    show_drops(out, rows, rates, by_worker);
    return out.str();
}

TEST(DropHelp, ARowIsReadWithItsHeadingAndWithoutMarksOfCode) {
    const auto rows = read_drop_help(
        "# Title\n\n## Refused\n\n| reason | what it means | at 3 a.m. |\n|---|---|---|\n"
        "| `port_closed` | No service. | A scan: `guideway get lb`. |\n| cut | short\n| `cut_too` | short\n");
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0], (DropHelp{"port_closed", "Refused", "No service.", "A scan: guideway get lb."}));
}

TEST(DropHelp, TheProgramHasTheWholeDocument) {
    std::ifstream file(GUIDEWAY_SOURCE_ROOT "/docs/drops.md");
    std::stringstream text;
    text << file.rdbuf();
    EXPECT_EQ(drops_text(), text.str());
    EXPECT_GT(drop_help().size(), 40U);
    for (const DropHelp& help : drop_help()) {
        EXPECT_FALSE(help.group.empty() || help.means.empty() || help.advice.empty()) << help.reason;
        EXPECT_EQ(drop_help_of(help.reason), &help) << "named twice: " << help.reason;
    }
    EXPECT_EQ(drop_help_of("no_such_reason"), nullptr);
}

TEST(Drops, WorkersAreSummedAndWhatGrowsFastestIsFirst) {
    const auto before =
        counters_of(1, {{{"no_route", 1000}, {"port_closed", 0}}, {{"no_route", 500}, {"port_closed", 2}}});
    const auto after =
        counters_of(1, {{{"no_route", 1000}, {"port_closed", 20}}, {{"no_route", 510}, {"port_closed", 2}}});
    const auto rows = drop_rows(after, &before, 2);
    ASSERT_EQ(rows.size(), 2U);
    EXPECT_EQ(rows[0].reason, "port_closed");
    EXPECT_EQ(rows[0].packets, 22U);
    EXPECT_DOUBLE_EQ(rows[0].per_second, 10);
    EXPECT_EQ(rows[1].packets, 1510U);
    EXPECT_DOUBLE_EQ(rows[1].per_second, 5);
    const std::string text = shown(rows, true, true);
    EXPECT_NE(text.find("port_closed  22 packets, 10 a second now\n"), std::string::npos) << text;
    EXPECT_NE(text.find("    worker 1: 510\n"), std::string::npos) << text;
}

TEST(Drops, ADataplaneThatBeganAnewCountsFromZero) {
    const auto before = counters_of(1, {{{"no_route", 1000}}});
    const auto after = counters_of(2, {{{"no_route", 6}}});
    EXPECT_DOUBLE_EQ(drop_rows(after, &before, 2).at(0).per_second, 3);
}

TEST(Drops, EachReasonIsShownWithWhatItMeansAndWhatToDo) {
    const DropHelp* help = drop_help_of("neighbour_unresolved");
    ASSERT_NE(help, nullptr);
    const std::string text = shown(drop_rows(counters_of(1, {{{"neighbour_unresolved", 1}}}), nullptr, 0));
    EXPECT_NE(text.find("neighbour_unresolved  1 packet\n    " + help->means + "\n    -> "), std::string::npos) << text;
    EXPECT_NE(text.find("ip neigh"), std::string::npos) << text;
}

TEST(Drops, WhatWasAnsweredIsNotAmongTheLosses) {
    const std::string text = shown(drop_rows(counters_of(1, {{{"answered", 7}}}), nullptr, 0));
    EXPECT_LT(text.find("No packet was dropped."), text.find("Not lost"));
    EXPECT_LT(text.find("Not lost"), text.find("answered  7 packets"));
}

TEST(Drops, AReasonOfANewerDataplaneIsShownWithoutHelp) {
    const std::string text = shown(drop_rows(counters_of(1, {{{"a_new_one", 3}}}), nullptr, 0));
    EXPECT_NE(text.find("a_new_one  3 packets\n    This program is older than the dataplane"), std::string::npos)
        << text;
}

}  // namespace
}  // namespace guideway::cli
