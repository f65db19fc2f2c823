// Who is let in: by token, by certificate, and in which order.
#include "controlplane/auth/doorkeeper.h"

#include <gtest/gtest.h>

namespace guideway::controlplane::auth {
namespace {

using namespace std::chrono_literals;

class DoorkeeperTest : public testing::Test {
  protected:
    DoorkeeperTest() {
        const Issued issued = book_.create("ci", {rest::Role::viewer, "", now_ + 1h}, now_);
        book_.put_record(issued.record);
        token_ = issued.text;
    }
    resources::Result<rest::Caller> ask(std::optional<std::string> bearer, std::string certificate = "") {
        return keeper_.authenticate({std::move(bearer), std::move(certificate), "192.0.2.7"});
    }

    Time now_{1'780'000'000s};
    TokenBook book_;
    std::string token_;
    Doorkeeper keeper_{book_,
                       {{"prod-controller", rest::Role::controller, "prod"}, {"root", rest::Role::admin, ""}},
                       [this] { return now_; }};
};

TEST_F(DoorkeeperTest, ATokenSaysWhoItIsAndWhereItComesFrom) {
    const auto caller = ask(token_);
    ASSERT_TRUE(caller.ok());
    EXPECT_EQ(caller.value().name, "ci");
    EXPECT_EQ(caller.value().peer, "192.0.2.7");
}

TEST_F(DoorkeeperTest, ACertificateStandsForItsConfiguredRole) {
    const auto caller = ask(std::nullopt, "prod-controller");
    ASSERT_TRUE(caller.ok());
    EXPECT_EQ(caller.value().name, "certificate:prod-controller") << "no token can have this name";
    EXPECT_TRUE(caller.value().may_change_cluster("prod"));
    EXPECT_FALSE(caller.value().may_change_cluster("test"));
}

TEST_F(DoorkeeperTest, AWrongTokenIsNotMadeGoodByACertificate) {
    EXPECT_EQ(ask("gw_wrong", "root").problem().reason, "TokenUnknown");
    EXPECT_EQ(ask("", "root").problem().reason, "TokenUnknown");
    EXPECT_EQ(ask(token_, "root").value().role, rest::Role::viewer) << "nor a weak one made strong";
}

TEST_F(DoorkeeperTest, EachRefusalIs401WithItsReason) {
    const auto reason = [](const resources::Result<rest::Caller>& result) {
        EXPECT_EQ(result.problem().status, 401);
        EXPECT_FALSE(result.problem().detail.empty());
        return result.problem().reason;
    };
    EXPECT_EQ(reason(ask(std::nullopt)), "TokenRequired");
    EXPECT_EQ(reason(ask("gw_000000000000_00")), "TokenUnknown");
    EXPECT_EQ(reason(ask(std::nullopt, "somebody")), "CertificateUnknown");
    now_ += 2h;
    EXPECT_EQ(reason(ask(token_)), "TokenExpired");
}

TEST_F(DoorkeeperTest, NoRefusalRepeatsTheToken) {
    EXPECT_EQ(ask("gw_secret").problem().detail.find("gw_secret"), std::string::npos);
}

}  // namespace
}  // namespace guideway::controlplane::auth
