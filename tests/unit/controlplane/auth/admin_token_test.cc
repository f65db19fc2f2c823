// The first token: made once, for its owner alone, and made again where it was lost.
#include "controlplane/auth/admin_token.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gtest/gtest.h>

#include "api/client/token_file.h"

namespace guideway::controlplane::auth {
namespace {

const Time kNow = Time(std::chrono::seconds(1'780'000'000));

class AdminTokenTest : public testing::Test {
  protected:
    AdminTokenTest() {
        std::string pattern = (std::filesystem::temp_directory_path() / "admin-token-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
    }
    ~AdminTokenTest() override { std::filesystem::remove_all(folder_); }
    std::string path() const { return folder_ + "/admin.token"; }

    std::string folder_;
    TokenBook book_;
};

TEST_F(AdminTokenTest, IsMadeForAnEmptyBookAndReadByTheClient) {
    const AdminToken made = ensure_admin_token(book_, path(), kNow);
    ASSERT_EQ(made.error, "");
    ASSERT_TRUE(made.record);
    EXPECT_EQ(made.record->metadata.name, "admin");
    EXPECT_FALSE(made.record->metadata.creation_timestamp.empty());
    struct stat status {};
    ASSERT_EQ(::stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
    EXPECT_EQ(status.st_uid, ::geteuid());
    const client::TokenFile file = client::read_token_file(path());
    ASSERT_TRUE(file.ok()) << file.error;
    book_.put_record(*made.record);
    EXPECT_EQ(book_.authenticate(file.token, kNow).caller->role, rest::Role::admin);
}

TEST_F(AdminTokenTest, IsNotMadeWhereThereIsAnyToken) {
    book_.put_record(book_.create("ci", {}, kNow).record);
    const AdminToken made = ensure_admin_token(book_, path(), kNow);
    EXPECT_FALSE(made.record);
    EXPECT_EQ(made.error, "");
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(AdminTokenTest, HasItsModeWhateverTheUmaskAndWhateverWasThere) {
    std::ofstream(path()) << "old";
    ::chmod(path().c_str(), 0666);
    std::ofstream(path() + ".new") << "left over";
    const mode_t before = ::umask(0);
    const AdminToken made = ensure_admin_token(book_, path(), kNow);
    ::umask(before);
    EXPECT_EQ(made.error, "");
    EXPECT_TRUE(client::read_token_file(path()).ok());
    EXPECT_FALSE(std::filesystem::exists(path() + ".new"));
}

TEST_F(AdminTokenTest, IsNotWrittenThroughALinkThatSomebodyLeft) {
    std::ofstream(folder_ + "/victim") << "untouched";
    std::filesystem::create_symlink("victim", path() + ".new");
    std::filesystem::create_symlink("victim", path());
    ASSERT_EQ(ensure_admin_token(book_, path(), kNow).error, "");
    std::string victim;
    std::ifstream(folder_ + "/victim") >> victim;
    EXPECT_EQ(victim, "untouched");
    EXPECT_FALSE(std::filesystem::is_symlink(path()));
}

TEST_F(AdminTokenTest, AFolderThatIsNotThereIsNamed) {
    const AdminToken made = ensure_admin_token(book_, folder_ + "/none/admin.token", kNow);
    EXPECT_FALSE(made.record);
    EXPECT_NE(made.error.find("/none/admin.token"), std::string::npos) << made.error;
}

TEST_F(AdminTokenTest, ARenewedOneIsTheOnlyOne) {
    const AdminToken first = ensure_admin_token(book_, path(), kNow);
    book_.put_record(*first.record);
    const std::string lost = client::read_token_file(path()).token;
    book_.put_record(book_.rotate("admin", kNow)->record);
    const AdminToken second = renew_admin_token(book_, path(), kNow);
    ASSERT_TRUE(second.record) << second.error;
    book_.put_record(*second.record);
    EXPECT_EQ(book_.find("admin")->secrets.size(), 1U);
    EXPECT_FALSE(book_.authenticate(lost, kNow).caller);
    EXPECT_TRUE(book_.authenticate(client::read_token_file(path()).token, kNow).caller);
}

TEST_F(AdminTokenTest, ARenewedOneIsAnAdminsAgainWhateverBecameOfIt) {
    TokenRecord record = book_.create("admin", {rest::Role::viewer, "", kNow}, kNow).record;
    book_.put_record(record);
    const AdminToken renewed = renew_admin_token(book_, path(), kNow);
    EXPECT_EQ(renewed.record->spec, (TokenSpec{rest::Role::admin, "", {}}));
    TokenBook empty;
    EXPECT_EQ(renew_admin_token(empty, path(), kNow).record->spec.role, rest::Role::admin);
}

}  // namespace
}  // namespace guideway::controlplane::auth
