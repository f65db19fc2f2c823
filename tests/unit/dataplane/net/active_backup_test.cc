// Which member of a bond carries.
#include "dataplane/net/active_backup.h"

#include <gtest/gtest.h>

namespace guideway::net {
namespace {

using namespace std::chrono_literals;
constexpr ActiveBackup::TimePoint kStart{1000h};

TEST(ActiveBackup, TheFirstThatIsUpCarriesUntilItsLinkIsLost) {
    ActiveBackup bond(3, std::nullopt, 1s);
    EXPECT_EQ(bond.decide({false, false, false}, kStart), std::nullopt);
    EXPECT_EQ(bond.decide({false, true, true}, kStart), 1U) << "better one that is not steady than none";
    EXPECT_EQ(bond.decide({true, true, true}, kStart + 10s), 1U);
    EXPECT_EQ(bond.decide({true, false, true}, kStart + 12s), 0U);
    EXPECT_EQ(bond.decide({true, true, true}, kStart + 100s), 0U) << "nothing goes back by itself";
    EXPECT_EQ(bond.decide({false, false, false}, kStart + 101s), std::nullopt);
    EXPECT_EQ(bond.decide({false, false, true}, kStart + 102s), 2U);
}

TEST(ActiveBackup, ThePrimaryTakesOverAgainWhenItsLinkIsSteady) {
    ActiveBackup bond(2, 1, 1s);
    EXPECT_EQ(bond.decide({true, false}, kStart), 0U);
    EXPECT_EQ(bond.decide({true, true}, kStart + 1s), 0U);
    EXPECT_EQ(bond.decide({true, true}, kStart + 1999ms), 0U);
    EXPECT_EQ(bond.decide({true, true}, kStart + 2s), 1U);
    EXPECT_EQ(bond.decide({true, false}, kStart + 3s), 0U);
    EXPECT_EQ(bond.decide({true, true}, kStart + 4s), 0U);
    EXPECT_EQ(bond.decide({true, false}, kStart + 4500ms), 0U) << "it flaps";
    EXPECT_EQ(bond.decide({true, true}, kStart + 4600ms), 0U);
    EXPECT_EQ(bond.decide({true, true}, kStart + 5500ms), 0U) << "its time begins anew";
    EXPECT_EQ(bond.decide({false, true}, kStart + 5550ms), 1U) << "at once where nobody else is";
}

TEST(ActiveBackup, ASteadyOneIsPreferred) {
    ActiveBackup bond(3, std::nullopt, 1s);
    EXPECT_EQ(bond.decide({true, false, true}, kStart), 0U);
    EXPECT_EQ(bond.decide({true, true, true}, kStart + 5s), 0U);
    EXPECT_EQ(bond.decide({false, true, true}, kStart + 5100ms), 2U);
}

}  // namespace
}  // namespace guideway::net
