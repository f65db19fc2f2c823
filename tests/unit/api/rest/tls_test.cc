// TlsContext: which files are taken, how faults are named, and what a change does.
#include "api/rest/tls.h"

#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

#include "tests/unit/api/rest/tls_lab.h"

namespace guideway::rest {
namespace {

std::shared_ptr<TlsContext> good(const TlsFiles& files) {
    auto loaded = TlsContext::load(files);
    const auto* context = std::get_if<std::shared_ptr<TlsContext>>(&loaded);
    return context == nullptr ? nullptr : *context;
}

TlsFault fault(const TlsFiles& files) {
    auto loaded = TlsContext::load(files);
    const auto* found = std::get_if<TlsFault>(&loaded);
    return found == nullptr ? TlsFault{} : *found;
}

TEST(TlsContext, NamesTheFieldTheFileAndTheFault) {
    TlsLab lab;
    const auto expect = [&](const TlsFiles& files, const std::string& field, const std::string& path,
                            const std::string& why) {
        const TlsFault found = fault(files);
        EXPECT_EQ(found.field, field) << found.message;
        EXPECT_NE(found.message.find(path), std::string::npos) << found.message;
        EXPECT_NE(found.message.find(why), std::string::npos) << found.message;
    };
    TlsFiles files = lab.files();
    files.certificate = lab.path("none");
    expect(files, "certificate", "none", "No such file");
    files = lab.files();
    files.key = lab.path("none");
    expect(files, "key", "none", "No such file");
    lab.write_text("text", "no PEM at all\n");
    files = lab.files();
    files.certificate = lab.path("text");
    expect(files, "certificate", "text", "no certificate");
    files = lab.files();
    files.key = lab.path("text");
    expect(files, "key", "text", "no private key");
    files.key = lab.path("clients.key");
    expect(files, "key", "clients.key", "not the key of the certificate");
    files = lab.files(ClientCertificates::optional);
    files.client_ca = lab.path("text");
    expect(files, "client_ca", "text", "no certificate");
    files = lab.files();
    files.certificate = lab.path("");
    expect(files, "certificate", "", "no regular file");
}

TEST(TlsContext, RefusesAKeyThatEverybodyCanRead) {
    TlsLab lab;
    for (const mode_t mode : {0604, 0602, 0644, 0666}) {
        ::chmod(lab.path("server.key").c_str(), mode);
        EXPECT_EQ(fault(lab.files()).field, "key");
    }
    ::chmod(lab.path("server.key").c_str(), 0640);
    EXPECT_NE(good(lab.files()), nullptr);
}

TEST(TlsContext, RefusesAKeyWithAPasswordInsteadOfAskingForIt) {
    TlsLab lab;
    const Identity identity = make_identity("server");
    lab.write_certificate("server", identity);
    std::FILE* const file = std::fopen(lab.path("server.key").c_str(), "w");
    ::PEM_write_PrivateKey(file, identity.key, ::EVP_aes_256_cbc(), reinterpret_cast<const unsigned char*>("password"),
                           8, nullptr, nullptr);
    std::fclose(file);
    EXPECT_NE(fault(lab.files()).message.find("without a password"), std::string::npos);
}

TEST(TlsContext, KnowsWhenItsCertificateEnds) {
    TlsLab lab;
    lab.write("server", make_identity("server", nullptr, 10));
    const auto left = good(lab.files())->status().not_after - std::chrono::system_clock::now();
    EXPECT_GT(left, std::chrono::hours(24 * 9));
    EXPECT_LE(left, std::chrono::hours(24 * 10));
}

TEST(TlsContext, AnExpiredCertificateStillStarts) {
    // Otherwise a restart would take away the only way to put another one in place.
    TlsLab lab;
    lab.write("server", make_identity("server", nullptr, -1));
    ASSERT_NE(good(lab.files()), nullptr);
    EXPECT_LT(good(lab.files())->status().not_after, std::chrono::system_clock::now());
}

TEST(TlsContext, TakesAChangedPairAtTheNextLook) {
    TlsLab lab;
    const auto context = good(lab.files());
    EXPECT_FALSE(context->look_again()) << "nothing changed";
    lab.write("server", make_identity("server", nullptr, 100));
    EXPECT_TRUE(context->look_again());
    EXPECT_EQ(context->status().loads, 2U);
    EXPECT_GT(context->status().not_after, std::chrono::system_clock::now() + std::chrono::hours(24 * 90));
    EXPECT_FALSE(context->look_again());
}

TEST(TlsContext, APairThatIsHalfReplacedIsNoFaultYet) {
    TlsLab lab;
    const auto context = good(lab.files());
    const Identity next = make_identity("server");
    lab.write_certificate("server", next);
    EXPECT_FALSE(context->look_again());
    lab.write_key("server", next);
    EXPECT_TRUE(context->look_again());
    EXPECT_EQ(context->status().refused, 0U);
    EXPECT_EQ(context->status().loads, 2U);
}

TEST(TlsContext, APairThatStaysBadIsRefusedOnceAndTheEarlierOneStays) {
    TlsLab lab;
    const auto context = good(lab.files());
    const auto ends = context->status().not_after;
    lab.write_certificate("server", make_identity("server", nullptr, 100));
    EXPECT_FALSE(context->look_again());
    EXPECT_TRUE(context->look_again());
    EXPECT_EQ(context->status().refused, 1U);
    EXPECT_NE(context->status().error.find("tls.key"), std::string::npos) << context->status().error;
    EXPECT_EQ(context->status().not_after, ends);
    EXPECT_FALSE(context->look_again()) << "said once";
    lab.write("server", make_identity("server"));
    EXPECT_TRUE(context->look_again());
    EXPECT_EQ(context->status().error, "");
}

TEST(TlsContext, AnExpiredOneDoesNotTakeThePlaceOfAGoodOne) {
    TlsLab lab;
    const auto context = good(lab.files());
    lab.write("server", make_identity("server", nullptr, -1));
    context->look_again();
    EXPECT_TRUE(context->look_again());
    EXPECT_NE(context->status().error.find("expired"), std::string::npos);
    EXPECT_GT(context->status().not_after, std::chrono::system_clock::now());
}

TEST(TlsContext, FilesThatVanishAreRefusedAndTheEarlierOnesStay) {
    TlsLab lab;
    const auto context = good(lab.files());
    std::filesystem::remove(lab.path("server.key"));
    context->look_again();
    EXPECT_TRUE(context->look_again());
    EXPECT_EQ(context->status().refused, 1U);
    EXPECT_EQ(context->status().loads, 1U);
}

TEST(TlsContext, FollowsALinkThatIsTurnedToOtherFiles) {
    // As secrets are mounted into containers.
    TlsLab lab;
    std::filesystem::create_directories(lab.path("one"));
    std::filesystem::create_directories(lab.path("two"));
    lab.write("one/server", make_identity("server", nullptr, 10));
    lab.write("two/server", make_identity("server", nullptr, 100));
    std::filesystem::create_symlink("one", lab.path("data"));
    const auto context = good({lab.path("data/server.crt"), lab.path("data/server.key"), "", ClientCertificates::none});
    ASSERT_NE(context, nullptr);
    std::filesystem::create_symlink("two", lab.path("data.new"));
    std::filesystem::rename(lab.path("data.new"), lab.path("data"));
    EXPECT_TRUE(context->look_again());
    EXPECT_GT(context->status().not_after, std::chrono::system_clock::now() + std::chrono::hours(24 * 90));
}

TEST(TlsWatch, TellsTheStatusAtOnceAndAfterAChange) {
    TlsLab lab;
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::uint64_t> loads;
    const TlsWatch watch(
        good(lab.files()),
        [&](const TlsStatus& status) {
            const std::lock_guard lock(mutex);
            loads.push_back(status.loads);
            changed.notify_all();
        },
        std::chrono::milliseconds(1));
    std::unique_lock lock(mutex);
    const auto seen = [&](std::uint64_t count) {
        return changed.wait_for(lock, std::chrono::milliseconds(kGenerousMilliseconds),
                                [&] { return !loads.empty() && loads.back() == count; });
    };
    EXPECT_TRUE(seen(1));
    lab.write("server", make_identity("server"));
    EXPECT_TRUE(seen(2));
}

}  // namespace
}  // namespace guideway::rest
