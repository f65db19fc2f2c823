// Tokens: what is issued, what is taken, what is kept, and what an attacker learns.
#include "controlplane/auth/token_book.h"

#include <atomic>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace guideway::controlplane::auth {
namespace {

using namespace std::chrono_literals;

const Time kNow = Time(1'780'000'000s);

/// 0, 1, 2, ... so that a test knows every byte.
Random counting() {
    return [next = std::make_shared<std::uint8_t>(0)](std::span<std::uint8_t> bytes) {
        for (std::uint8_t& byte : bytes) byte = (*next)++;
    };
}

Issued put(TokenBook& book, const std::string& name, TokenSpec spec = {rest::Role::admin, "", {}}) {
    Issued issued = book.create(name, std::move(spec), kNow);
    book.put_record(issued.record);
    return issued;
}

TEST(TokenBook, ATokenIsAnIdAnd256RandomBits) {
    const TokenBook book(counting());
    const Issued issued = book.create("admin", {rest::Role::admin, "", {}}, kNow);
    EXPECT_EQ(issued.text, "gw_000102030405_060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425");
    EXPECT_EQ(issued.record.secrets.at(0).id, "000102030405");
}

TEST(TokenBook, NoTwoTokensAreAlike) {
    const TokenBook book;
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(book.create("a", {}, kNow).text);
    EXPECT_EQ(seen.size(), 1000U);
}

TEST(TokenBook, AnIdThatIsTakenIsNotGivenAgain) {
    auto same = std::make_shared<int>(0);
    TokenBook book([same](std::span<std::uint8_t> bytes) {
        // The first three ids are one and the same.
        for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(bytes.size() == 6 && *same < 3 ? 7 : *same);
        ++*same;
    });
    const Issued first = put(book, "a");
    EXPECT_NE(put(book, "b").record.secrets.at(0).id, first.record.secrets.at(0).id);
}

TEST(TokenBook, IsNotInForceBeforeItsRecordIsPut) {
    TokenBook book;
    const Issued issued = book.create("admin", {rest::Role::admin, "", {}}, kNow);
    EXPECT_FALSE(book.authenticate(issued.text, kNow).caller);
    book.put_record(issued.record);
    const auto answer = book.authenticate(issued.text, kNow);
    ASSERT_TRUE(answer.caller);
    EXPECT_EQ(answer.caller->name, "admin");
    EXPECT_EQ(answer.caller->role, rest::Role::admin);
    book.erase_record("admin");
    EXPECT_FALSE(book.authenticate(issued.text, kNow).caller);
    EXPECT_TRUE(book.empty());
}

TEST(TokenBook, SaysWhichClusterAControllerHas) {
    TokenBook book;
    const Issued issued = put(book, "prod-controller", {rest::Role::controller, "prod", {}});
    const auto caller = book.authenticate(issued.text, kNow).caller;
    EXPECT_TRUE(caller->may_change_cluster("prod"));
    EXPECT_FALSE(caller->may_change_cluster("test"));
    EXPECT_EQ(fault_of({rest::Role::controller, "prod", {}}), "");
    EXPECT_NE(fault_of({rest::Role::controller, "", {}}), "");
    EXPECT_NE(fault_of({rest::Role::viewer, "prod", {}}), "");
}

TEST(TokenBook, WhatIsNearlyRightIsWrong) {
    TokenBook book;
    const std::string text = put(book, "admin").text;
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string other = text;
        other[i] = other[i] == 'a' ? 'b' : 'a';
        EXPECT_FALSE(book.authenticate(other, kNow).caller) << i;
        EXPECT_FALSE(book.authenticate(text.substr(0, i), kNow).caller) << i;
    }
    EXPECT_FALSE(book.authenticate(text + "a", kNow).caller);
    EXPECT_FALSE(book.authenticate(text + std::string(1, '\0'), kNow).caller);
    EXPECT_FALSE(book.authenticate(std::string(100'000, 'a'), kNow).caller);
    std::string upper = text;
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    EXPECT_FALSE(book.authenticate(upper, kNow).caller);
    EXPECT_TRUE(book.authenticate(text, kNow).caller);
}

TEST(TokenBook, TheIdOfOneAndTheSecretOfAnotherOpenNothing) {
    TokenBook book;
    const std::string a = put(book, "a").text;
    const std::string b = put(book, "b").text;
    EXPECT_FALSE(book.authenticate(a.substr(0, 16) + b.substr(16), kNow).caller);
}

TEST(TokenBook, TheHashDoesNotServeAsSecret) {
    // Who reads the store must not get in by what stands there.
    TokenBook book;
    const Issued issued = put(book, "admin");
    const auto stored = nlohmann::json::parse(encode(issued.record)).at("secrets").at(0);
    const std::string id = stored.at("id"), hash = stored.at("sha256");
    EXPECT_FALSE(book.authenticate("gw_" + id + "_" + hash, kNow).caller);
    EXPECT_EQ(encode(issued.record).find(issued.text.substr(16)), std::string::npos)
        << "the secret itself is not stored";
}

TEST(TokenBook, EndsWithItsExpiryToTheSecond) {
    TokenBook book;
    const Issued issued = put(book, "ci", {rest::Role::viewer, "", kNow + 60s});
    EXPECT_TRUE(book.authenticate(issued.text, kNow + 59s).caller);
    const auto answer = book.authenticate(issued.text, kNow + 60s);
    EXPECT_FALSE(answer.caller);
    EXPECT_EQ(answer.refusal, TokenBook::Refusal::expired);
    EXPECT_EQ(answer.name, "ci");
}

TEST(TokenBook, OnlyWhoHasTheSecretLearnsThatItExpired) {
    TokenBook book;
    std::string text = put(book, "ci", {rest::Role::viewer, "", kNow}).text;
    text.back() = text.back() == '0' ? '1' : '0';
    const auto answer = book.authenticate(text, kNow + 60s);
    EXPECT_EQ(answer.refusal, TokenBook::Refusal::unknown);
    EXPECT_EQ(answer.name, "");
}

TEST(TokenBook, TwoSecretsAreValidAtATimeAndAThirdEndsTheOldest) {
    TokenBook book;
    std::vector<std::string> texts{put(book, "admin").text};
    for (int i = 1; i < 4; ++i) {
        const Issued issued = *book.rotate("admin", kNow + i * 1h);
        EXPECT_FALSE(book.authenticate(issued.text, kNow).caller) << "not before it is durable";
        book.put_record(issued.record);
        texts.push_back(issued.text);
        for (int j = 0; j <= i; ++j) {
            EXPECT_EQ(book.authenticate(texts[static_cast<std::size_t>(j)], kNow).caller.has_value(), j >= i - 1)
                << i << " " << j;
        }
    }
    EXPECT_EQ(book.find("admin")->secrets.size(), 2U);
    EXPECT_FALSE(book.rotate("nobody", kNow));
}

TEST(TokenBook, ALastUseIsNotedToTheMinuteAndIsSavedByWhoeverWrites) {
    TokenBook book;
    const Issued issued = put(book, "admin");
    EXPECT_TRUE(book.unsaved_uses().empty());
    EXPECT_FALSE(book.find("admin")->secrets[0].last_used);
    book.authenticate(issued.text, kNow);
    book.authenticate(issued.text, kNow + 59s);
    EXPECT_EQ(book.find("admin")->secrets[0].last_used, kNow);
    EXPECT_EQ(book.unsaved_uses(), std::vector<std::string>{"admin"});
    book.authenticate(issued.text, kNow + 60s);
    const TokenRecord record = *book.find("admin");
    EXPECT_EQ(record.secrets[0].last_used, kNow + 60s);
    book.put_record(record);
    EXPECT_TRUE(book.unsaved_uses().empty());
}

TEST(TokenBook, AUseWhileTheRecordWasWrittenIsNotForgotten) {
    TokenBook book;
    const Issued issued = put(book, "admin");
    TokenRecord changed = *book.find("admin");
    book.authenticate(issued.text, kNow);
    changed.spec.role = rest::Role::viewer;
    book.put_record(changed);
    EXPECT_EQ(book.find("admin")->secrets[0].last_used, kNow);
    EXPECT_EQ(book.unsaved_uses().size(), 1U);
    EXPECT_EQ(book.authenticate(issued.text, kNow).caller->role, rest::Role::viewer) << "the change holds at once";
}

TEST(TokenBook, AWrongTokenLeavesNoUse) {
    TokenBook book;
    std::string text = put(book, "admin").text;
    text.back() = text.back() == '0' ? '1' : '0';
    book.authenticate(text, kNow);
    EXPECT_FALSE(book.find("admin")->secrets[0].last_used);
}

TEST(TokenBook, ARestoredBackupReplacesAllTokens) {
    TokenBook book;
    const Issued old = put(book, "old");
    const Issued kept = book.create("kept", {}, kNow);
    book.replace_all({kept.record});
    EXPECT_FALSE(book.authenticate(old.text, kNow).caller);
    EXPECT_TRUE(book.authenticate(kept.text, kNow).caller);
    EXPECT_EQ(book.all().size(), 1U);
}

TEST(TokenBook, ListsByName) {
    TokenBook book;
    for (const char* name : {"b", "a", "c"}) put(book, name);
    std::string names;
    for (const TokenRecord& one : book.all()) names += one.metadata.name;
    EXPECT_EQ(names, "abc");
}

TEST(TokenBook, AuthenticatesWhileTokensChange) {
    TokenBook book;
    const Issued fixed = put(book, "fixed");
    std::atomic<bool> stop = false;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i) {
        readers.emplace_back([&] {
            for (int j = 0; !stop; ++j) {
                if (!book.authenticate(fixed.text, kNow + j * 1min).caller) ++wrong;
                book.unsaved_uses();
            }
        });
    }
    for (int i = 0; i < 200; ++i) {
        put(book, "other");
        book.put_record(book.rotate("other", kNow)->record);
        book.put_record(*book.find("fixed"));
        book.erase_record("other");
    }
    stop = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(wrong, 0);
}

TEST(TokenRecord, ComesBackAsItWasStored) {
    TokenBook book;
    TokenRecord record = book.create("ci", {rest::Role::controller, "prod", kNow + 60s}, kNow).record;
    record.metadata.labels = {{"team", "shop"}};
    record.metadata.uid = "u";
    record.metadata.resource_version = 7;
    record.metadata.generation = 2;
    record.metadata.creation_timestamp = "2026-01-02T03:04:05Z";
    record.secrets[0].last_used = kNow + 30s;
    record = book.rotate(record, kNow + 1s).record;
    const auto decoded = decode_token(encode(record));
    ASSERT_TRUE(decoded.ok()) << decoded.faults[0].field << " " << decoded.faults[0].message;
    EXPECT_EQ(*decoded.value, record);
    EXPECT_EQ(encode(*decoded.value), encode(record));
}

TEST(TokenRecord, NamesEachFault) {
    TokenBook book(counting());
    const std::string good = encode(book.create("ci", {rest::Role::viewer, "", {}}, kNow).record);
    const struct {
        const char* pointer;
        nlohmann::json value;
    } cases[] = {{"/format", 2},
                 {"/name", "Ci"},
                 {"/role", "root"},
                 {"/cluster", "prod"},
                 {"/expires", -1},
                 {"/surprise", 1},
                 {"/secrets", 1},
                 {"/secrets/0/id", "xyz"},
                 {"/secrets/0/sha256", "00"},
                 {"/secrets/0/sha256", std::string(64, 'G')},
                 {"/secrets/0/created", "now"}};
    for (const auto& one : cases) {
        auto json = nlohmann::json::parse(good);
        json[nlohmann::json::json_pointer(one.pointer)] = one.value;
        const auto decoded = decode_token(json.dump());
        ASSERT_FALSE(decoded.ok()) << one.pointer;
        EXPECT_EQ(decoded.faults[0].field, one.pointer);
    }
    EXPECT_FALSE(decode_token("").ok());
    EXPECT_FALSE(decode_token(good + "x").ok());
    auto three = nlohmann::json::parse(good);
    three["secrets"] = {three["secrets"][0], three["secrets"][0], three["secrets"][0]};
    EXPECT_FALSE(decode_token(three.dump()).ok());
}

}  // namespace
}  // namespace guideway::controlplane::auth
