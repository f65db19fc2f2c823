// Which member of a bond carries.
#include "dataplane/net/active_backup.h"

#include <gtest/gtest.h>

namespace guideway::net {
namespace {

using namespace std::chrono_literals;
constexpr ActiveBackup::TimePoint kFirstLook{1000h};

TEST(ActiveBackup, TheFirstThatIsUpCarriesUntilItsLinkIsLost) {
    ActiveBackup bond(3, std::nullopt, 1s);
    EXPECT_EQ(bond.decide({false, false, false}, kFirstLook), std::nullopt);
    EXPECT_EQ(bond.decide({false, true, true}, kFirstLook), 1U) << "better one that is not steady than none";
    EXPECT_EQ(bond.decide({true, true, true}, kFirstLook + 10s), 1U);
    EXPECT_EQ(bond.decide({true, false, true}, kFirstLook + 12s), 0U);
    EXPECT_EQ(bond.decide({true, true, true}, kFirstLook + 100s), 0U) << "nothing goes back by itself";
    EXPECT_EQ(bond.decide({false, false, false}, kFirstLook + 101s), std::nullopt);
    EXPECT_EQ(bond.decide({false, false, true}, kFirstLook + 102s), 2U);
}

TEST(ActiveBackup, ThePrimaryTakesOverAgainWhenItsLinkIsSteady) {
    ActiveBackup bond(2, 1, 1s);
    EXPECT_EQ(bond.decide({true, false}, kFirstLook), 0U);
    EXPECT_EQ(bond.decide({true, true}, kFirstLook + 1s), 0U);
    EXPECT_EQ(bond.decide({true, true}, kFirstLook + 1999ms), 0U);
    EXPECT_EQ(bond.decide({true, true}, kFirstLook + 2s), 1U);
    EXPECT_EQ(bond.decide({true, false}, kFirstLook + 3s), 0U);
    EXPECT_EQ(bond.decide({true, true}, kFirstLook + 4s), 0U);
    EXPECT_EQ(bond.decide({true, false}, kFirstLook + 4500ms), 0U) << "it flaps";
    EXPECT_EQ(bond.decide({true, true}, kFirstLook + 4600ms), 0U);
    EXPECT_EQ(bond.decide({true, true}, kFirstLook + 5500ms), 0U) << "its time begins anew";
    EXPECT_EQ(bond.decide({false, true}, kFirstLook + 5550ms), 1U) << "at once where nobody else is";
}

TEST(ActiveBackup, ASteadyOneIsPreferred) {
    ActiveBackup bond(3, std::nullopt, 1s);
    EXPECT_EQ(bond.decide({true, false, true}, kFirstLook), 0U);
    EXPECT_EQ(bond.decide({true, true, true}, kFirstLook + 5s), 0U);
    EXPECT_EQ(bond.decide({false, true, true}, kFirstLook + 5100ms), 2U);
}

}  // namespace
}  // namespace guideway::net
