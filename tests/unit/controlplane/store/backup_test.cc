// Backups: what was encoded is decoded to the same contents, and whatever is wrong with one is said with its line.
#include "controlplane/store/backup.h"

#include <sstream>

#include <gtest/gtest.h>

namespace guideway::store::backup {
namespace {

const About kAbout{"1.2.3", "2026-11-27T10:00:00Z"};

Contents example() {
    return {{{"address-pool", "a", R"({"spec":{"addresses":["203.0.113.0/24"]}})", 5},
             {"load-balancer", "default/web", "{\"x\":\"\\u0000\xf0\x9f\x9a\x84\"}", 7},
             {"node", "n\"1", "", 0}},
            7,
            3};
}

std::string text_of(const Contents& contents) {
    std::string text;
    const auto error = encode(contents, kAbout, [&](std::string_view bytes) {
        text += bytes;
        return true;
    });
    EXPECT_FALSE(error) << *error;
    return text;
}

std::variant<Decoded, std::string> decoded(const std::string& text, const Limits& limits = {}) {
    std::istringstream stream(text);
    return decode(stream, limits);
}

std::string refusal(const std::string& text, const Limits& limits = {}) {
    auto result = decoded(text, limits);
    if (auto* why = std::get_if<std::string>(&result)) return *why;
    ADD_FAILURE() << "was taken: " << text;
    return {};
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line + "\n");
    return lines;
}

std::string joined(const std::vector<std::string>& lines) {
    std::string text;
    for (const std::string& line : lines) text += line;
    return text;
}

void expect_says(const std::string& why, const std::vector<std::string>& parts) {
    for (const std::string& part : parts) EXPECT_NE(why.find(part), std::string::npos) << why << "\n  lacks " << part;
}

TEST(Backup, WhatWasEncodedIsDecoded) {
    for (const Contents& contents : {example(), Contents{}, Contents{{}, kLargestRevision, kLargestRevision}}) {
        auto result = decoded(text_of(contents));
        ASSERT_TRUE(std::holds_alternative<Decoded>(result)) << std::get<std::string>(result);
        const auto& [found, about] = std::get<Decoded>(result);
        EXPECT_EQ(found.records, contents.records);
        EXPECT_EQ(found.revision, contents.revision);
        EXPECT_EQ(found.generation, contents.generation);
        EXPECT_EQ(about.program, "1.2.3");
        EXPECT_EQ(about.created, "2026-11-27T10:00:00Z");
    }
}

// Backups are kept for years: the format may only change with its version.
TEST(Backup, TheFormatIsTheOneWritten) {
    EXPECT_EQ(text_of({{{"node", "a", "{\"n\":1}", 2}}, 7, 3}),
              "{\"format\":\"guideway-backup\",\"formatVersion\":1,\"program\":\"1.2.3\",\"created\":\"2026-11-27T10:"
              "00:00Z\","
              "\"revision\":7,\"generation\":3,\"records\":1}\n"
              "{\"kind\":\"node\",\"key\":\"a\",\"revision\":2,\"document\":\"{\\\"n\\\":1}\"}\n"
              "{\"sha256\":\"d9972a6521e1a5170dd2792d32ea8273d168dd77fc2304672c52979f14d2a0b7\"}\n");
}

TEST(Backup, WhatIsBoundToALeaseIsNotInIt) {
    Contents contents = example();
    contents.records.push_back({"owner", "vip", "me", 7, 3});
    EXPECT_EQ(text_of(contents), text_of(example()));
}

TEST(Backup, RefusesToKeepWhatIsNoUtf8) {
    for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "a\xc3"}) {
        const auto error = encode({{{"node", "a", bad, 1}}, 1, 1}, kAbout, [](std::string_view) { return true; });
        ASSERT_TRUE(error);
        expect_says(*error, {"node", "\"a\"", "UTF-8"});
    }
}

TEST(Backup, StopsWhereTheSinkGivesUp) {
    int calls = 0;
    const auto error = encode(example(), kAbout, [&](std::string_view) { return ++calls < 3; });
    ASSERT_TRUE(error);
    EXPECT_EQ(calls, 3);
}

TEST(Backup, EachByteChangedOrLostIsNoticed) {
    const std::string whole = text_of(example());
    for (std::size_t at = 0; at < whole.size(); ++at) {
        std::string changed = whole;
        changed[at] = static_cast<char>(changed[at] ^ 1);
        EXPECT_TRUE(std::holds_alternative<std::string>(decoded(changed))) << "byte " << at;
        EXPECT_TRUE(std::holds_alternative<std::string>(decoded(whole.substr(0, at)))) << "cut at " << at;
    }
}

TEST(Backup, ALineLostOrDoubledIsNoticed) {
    const auto lines = lines_of(text_of(example()));
    for (std::size_t at = 0; at < lines.size(); ++at) {
        auto lost = lines;
        lost.erase(lost.begin() + static_cast<std::ptrdiff_t>(at));
        EXPECT_NE(refusal(joined(lost)), "") << at;
        auto doubled = lines;
        doubled.insert(doubled.begin() + static_cast<std::ptrdiff_t>(at), lines[at]);
        EXPECT_NE(refusal(joined(doubled)), "") << at;
    }
}

TEST(Backup, SaysLineAndReason) {
    const auto good = lines_of(text_of(example()));
    const auto with = [&](std::size_t line, const std::string& text) {
        auto lines = good;
        lines[line] = text + "\n";
        return refusal(joined(lines));
    };
    expect_says(refusal(""), {"line 1", "ends here", "header"});
    expect_says(with(0, "PK\x03\x04"), {"line 1", "header"});
    expect_says(with(0, R"({"format":"other","formatVersion":1})"), {"line 1", "\"other\"", "guideway-backup"});
    expect_says(with(0, R"({"format":"guideway-backup","formatVersion":2,"new":1})"),
                {"line 1", "formatVersion 2", "newer"});
    expect_says(with(0, R"({"format":"guideway-backup","formatVersion":1})"), {"line 1", "/program"});
    expect_says(with(2, R"({"kind":"node","key":"a","revision":1})"), {"line 3", "/document"});
    expect_says(with(2, R"({"kind":"node","key":"a","revision":8,"document":""})"),
                {"line 3", "/revision", "8", "0..7"});
    expect_says(with(2, R"({"kind":"node","key":"a","revision":1,"document":"","x":1})"), {"line 3", "/x"});
    expect_says(with(2, R"({"kind":"address-pool","key":"a","revision":1,"document":""})"), {"line 3", "sorted"});
    expect_says(with(2, R"({"kind":"node","kind":"node","key":"a","revision":1,"document":""})"), {"line 3", "kind"});
    expect_says(with(4, R"({"sha256":"abc"})"), {"line 5", "/sha256", "64"});
    expect_says(with(4, R"({"sha256":")" + std::string(64, '0') + "\"}"), {"line 5", "damaged"});
    expect_says(refusal(joined(good) + "\n"), {"line 6", "after the checksum"});
    expect_says(refusal(joined(good) + "x"), {"line 6"});
    auto unended = joined(good);
    unended.pop_back();
    expect_says(refusal(unended), {"line 5", "ends within"});
}

TEST(Backup, IsBounded) {
    const std::string text = text_of(example());
    expect_says(refusal(text, {100, 10, 10000}), {"line 1", "100 bytes"});
    expect_says(refusal(text, {10000, 2, 10000}), {"line 1", "/records", "0..2"});
    expect_says(refusal(text, {10000, 10, 200}), {"200 bytes"});
}

}  // namespace
}  // namespace guideway::store::backup
