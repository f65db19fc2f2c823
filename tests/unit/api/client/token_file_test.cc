// The file a client finds its token in: what is read, and what is refused because the secret may have leaked.
#include "api/client/token_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace guideway::client {
namespace {

class TokenFileTest : public ::testing::Test {
  protected:
    TokenFileTest() {
        std::string pattern = (std::filesystem::temp_directory_path() / "token-file-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
    }
    ~TokenFileTest() override { std::filesystem::remove_all(folder_); }

    std::string write(const std::string& text, mode_t mode = 0600) {
        const std::string path = folder_ + "/token";
        std::filesystem::remove(path);
        std::ofstream(path, std::ios::binary) << text;
        ::chmod(path.c_str(), mode);
        return path;
    }

    std::string folder_;
};

TEST_F(TokenFileTest, IsReadWithoutItsLineEnd) {
    EXPECT_EQ(read_token_file(write("gw_0123_abcd\n")).token, "gw_0123_abcd");
    EXPECT_EQ(read_token_file(write("gw_0123_abcd")).token, "gw_0123_abcd");
    EXPECT_EQ(read_token_file(write("gw_0123_abcd\n", 0400)).token, "gw_0123_abcd");
}

TEST_F(TokenFileTest, IsRefusedWhereOthersMayReadOrWriteIt) {
    for (const mode_t mode : {0640, 0604, 0620, 0602, 0644, 0666}) {
        const TokenFile file = read_token_file(write("gw_0123_abcd\n", mode));
        EXPECT_TRUE(file.token.empty());
        EXPECT_NE(file.error.find("allowed 0600"), std::string::npos) << file.error;
        EXPECT_NE(file.error.find(folder_), std::string::npos) << "names the file: " << file.error;
        EXPECT_EQ(file.error.find("abcd"), std::string::npos) << "a secret does not go into messages: " << file.error;
    }
}

TEST_F(TokenFileTest, IsRefusedWhereItCouldBreakAHeader) {
    for (const std::string& text : {std::string(), std::string("\n"), std::string("a b\n"), std::string("a\r\n"),
                                    std::string("a\nb\n"), std::string("a\0b\n", 4), std::string("a\xff\n"),
                                    std::string("=\n"), std::string(1025, 'a'), std::string(100'000, 'a')}) {
        EXPECT_FALSE(read_token_file(write(text)).ok()) << text.substr(0, 20);
    }
    EXPECT_TRUE(read_token_file(write(std::string(1024, 'a') + "\n")).ok());
}

TEST_F(TokenFileTest, ThatIsMissingSaysSo) {
    const TokenFile file = read_token_file(folder_ + "/none");
    EXPECT_TRUE(file.missing);
    EXPECT_FALSE(file.ok());
}

TEST_F(TokenFileTest, MustBeARegularFileAndDoesNotHang) {
    EXPECT_FALSE(read_token_file(folder_).ok());
    const std::string pipe = folder_ + "/pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_FALSE(read_token_file(pipe).ok());
}

TEST(BearerToken, IsWhatAHeaderTakes) {
    EXPECT_TRUE(is_bearer_token("gw_0123_abcd"));
    EXPECT_TRUE(is_bearer_token("a.b-c~d+e/f=="));
    for (const char* bad : {"", "=", "a=b", "a b", "a,b", "\xc3\xa4", "a\r\nX: y"}) EXPECT_FALSE(is_bearer_token(bad));
}

}  // namespace
}  // namespace guideway::client
