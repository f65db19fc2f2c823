// The audit log: what a line says, what it never says, and what happens when the disk does not take it.
#include "controlplane/audit.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace guideway::controlplane {
namespace {

using Json = nlohmann::json;

AuditEntry update(std::string before, std::string after) {
    AuditEntry entry;
    entry.time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'767'323'045'678));
    entry.caller = {"prod-controller", rest::Role::controller, "prod", "192.0.2.7"};
    entry.verb = "update";
    entry.kind = "load-balancer";
    entry.key = "prod/default/web";
    entry.revision = 812;
    entry.before = std::move(before);
    entry.after = std::move(after);
    return entry;
}

class AuditTest : public testing::Test {
  protected:
    AuditTest() {
        std::string pattern = (std::filesystem::temp_directory_path() / "audit-XXXXXX").string();
        folder_ = ::mkdtemp(pattern.data());
        options_.file = folder_ + "/audit.log";
    }
    ~AuditTest() override {
        log_.reset();
        std::filesystem::remove_all(folder_);
    }
    AuditLog& open() {
        auto opened = AuditLog::open(options_);
        EXPECT_TRUE(std::holds_alternative<std::unique_ptr<AuditLog>>(opened)) << std::get<std::string>(opened);
        log_ = std::move(std::get<std::unique_ptr<AuditLog>>(opened));
        return *log_;
    }
    std::vector<Json> lines(const std::string& suffix = "") const {
        std::vector<Json> out;
        std::ifstream file(options_.file + suffix);
        for (std::string line; std::getline(file, line);) out.push_back(Json::parse(line));
        return out;
    }

    std::string folder_;
    AuditOptions options_;
    std::unique_ptr<AuditLog> log_;
};

TEST_F(AuditTest, ALineSaysWhoWhatWhereWhenAndHow) {
    open().record(update(R"({"ports":[80],"addressPool":"a"})", R"({"ports":[80,443],"addressPool":"a"})"));
    log_->flush();
    ASSERT_EQ(lines().size(), 1U);
    EXPECT_EQ(lines()[0],
              Json::parse(R"({"time":"2026-01-02T03:04:05.678Z","caller":"prod-controller","role":"controller",
        "cluster":"prod","peer":"192.0.2.7","verb":"update","kind":"load-balancer","key":"prod/default/web","revision":812,
        "result":"ok","old":{"ports":[80]},"new":{"ports":[80,443]}})"));
    struct stat status {};
    ::stat(options_.file.c_str(), &status);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
}

TEST_F(AuditTest, ARefusalSaysItsReasonAndHasNoRevision) {
    AuditEntry entry = update("{}", R"({"a":1})");
    entry.revision = 0;
    entry.result = "NoAvailableIPs";
    open().record(entry);
    log_->flush();
    EXPECT_EQ(lines()[0].at("result"), "NoAvailableIPs");
    EXPECT_FALSE(lines()[0].contains("revision"));
}

TEST_F(AuditTest, ARefusedRequestSaysWhatItsSenderWasTold) {
    AuditEntry entry;
    entry.caller = {"ci", rest::Role::viewer, "", "192.0.2.7"};
    entry.verb = "DELETE";
    entry.kind = "request";
    entry.key = "/v1/nodes/n";
    entry.problem = R"({"status":403,"reason":"Forbidden","detail":"a viewer may not"})";
    open().record(entry);
    entry.problem = "no JSON";
    log_->record(entry);
    log_->flush();
    EXPECT_EQ(lines()[0].at("result"), "Forbidden");
    EXPECT_EQ(lines()[0].at("detail"), "a viewer may not");
    EXPECT_EQ(lines()[1].at("result"), "");
}

TEST(AuditDifference, IsAMergePatchEachWay) {
    const auto expect = [](const char* before, const char* after, const char* back, const char* forth) {
        const AuditDifference found = audit_difference(before, after);
        EXPECT_EQ(Json::parse(found.before), Json::parse(back)) << before << " -> " << after;
        EXPECT_EQ(Json::parse(found.after), Json::parse(forth)) << before << " -> " << after;
        // What a merge patch promises (RFC 7396).
        Json patched = Json::parse(before);
        patched.merge_patch(Json::parse(found.after));
        EXPECT_EQ(patched, Json::parse(after));
        patched.merge_patch(Json::parse(found.before));
        EXPECT_EQ(patched, Json::parse(before));
    };
    expect(R"({"a":1,"b":2})", R"({"a":1,"b":3})", R"({"b":2})", R"({"b":3})");
    expect(R"({"a":1})", R"({"a":1,"b":2})", R"({"b":null})", R"({"b":2})");
    expect(R"({"a":{"x":1,"y":2}})", R"({"a":{"x":1,"y":3}})", R"({"a":{"y":2}})", R"({"a":{"y":3}})");
    expect(R"({"a":[1,2]})", R"({"a":[1,2,3]})", R"({"a":[1,2]})", R"({"a":[1,2,3]})");
    expect(R"({"a":{"x":1}})", R"({"a":2})", R"({"a":{"x":1}})", R"({"a":2})");
}

TEST(AuditDifference, ACreationHasNoOldAndADeletionNoNew) {
    EXPECT_EQ(audit_difference(std::nullopt, R"({"a":1})").before, "null");
    EXPECT_EQ(audit_difference(std::nullopt, R"({"a":1})").after, R"({"a":1})");
    EXPECT_EQ(audit_difference(R"({"a":1})", std::nullopt).before, R"({"a":1})");
    EXPECT_EQ(audit_difference(R"({"a":1})", std::nullopt).after, "null");
    EXPECT_EQ(audit_difference(R"({"a":1})", R"({"a":1})").after, "null");
}

TEST_F(AuditTest, NoLineHoldsASecretHoweverItCame) {
    open().record(update(R"({"role":"admin","status":{"token":"gw_topsecret"},"secrets":[{"sha256":"topsecret"}]})",
                         R"({"role":"viewer","list":[{"secret":"topsecret"}],"password":"topsecret"})"));
    log_->flush();
    EXPECT_EQ(lines()[0].dump().find("topsecret"), std::string::npos) << lines()[0].dump();
    EXPECT_EQ(lines()[0].at("new").at("role"), "viewer");
}

TEST_F(AuditTest, WhatClientsWriteCannotBeginALineOfItsOwn) {
    AuditEntry entry = update("{}", R"({"a":"x\n{\"verb\":\"forged\"}"})");
    entry.key = "a\n{\"verb\":\"forged\"}\xff";
    open().record(entry);
    log_->login_refused("192.0.2.7\n{}", "Token\nUnknown");
    log_->flush();
    EXPECT_EQ(lines().size(), 2U);
}

TEST_F(AuditTest, GrowsAcrossRestarts) {
    open().record(update("{}", "{}"));
    log_.reset();
    open().record(update("{}", "{}"));
    log_->flush();
    EXPECT_EQ(lines().size(), 2U);
}

TEST_F(AuditTest, EverythingRecordedIsWrittenBeforeTheEnd) {
    open();
    for (int i = 0; i < 5000; ++i) log_->record(update("{}", R"({"a":1})"));
    log_.reset();
    EXPECT_EQ(lines().size(), 5000U);
}

TEST_F(AuditTest, IsRotatedBySizeAndKeepsSoManyFiles) {
    options_.max_bytes = 2000;
    options_.keep = 2;
    open();
    for (int i = 0; i < 100; ++i) {
        AuditEntry entry = update("{}", R"({"a":1})");
        entry.revision = static_cast<std::uint64_t>(i + 1);
        log_->record(entry);
    }
    log_->flush();
    EXPECT_EQ(log_->lost(), 0U);
    EXPECT_FALSE(std::filesystem::exists(options_.file + ".3"));
    std::vector<std::uint64_t> revisions;
    for (const char* suffix : {".2", ".1", ""}) {
        EXPECT_LT(std::filesystem::file_size(options_.file + suffix), 2600U);
        for (const Json& line : lines(suffix)) revisions.push_back(line.at("revision"));
    }
    EXPECT_EQ(revisions.back(), 100U);
    for (std::size_t i = 1; i < revisions.size(); ++i)
        EXPECT_EQ(revisions[i], revisions[i - 1] + 1) << "none is missing";
    struct stat status {};
    ::stat((options_.file + ".1").c_str(), &status);
    EXPECT_EQ(status.st_mode & 07777U, 0600U);
}

TEST_F(AuditTest, IsOpenedAnewAfterAnOutsideRotation) {
    open().record(update("{}", "{}"));
    log_->flush();
    std::filesystem::rename(options_.file, options_.file + ".moved");
    log_->record(update("{}", "{}"));
    log_->flush();
    EXPECT_EQ(lines(".moved").size(), 2U);
    log_->reopen();
    // Which line is the first in the new file is not promised; that they go there is.
    while (!std::filesystem::exists(options_.file)) std::this_thread::yield();
    log_->record(update("{}", "{}"));
    log_->flush();
    EXPECT_EQ(lines().size(), 1U);
}

TEST_F(AuditTest, AFileThatCannotBeOpenedIsNamed) {
    options_.file = folder_ + "/none/audit.log";
    const auto opened = AuditLog::open(options_);
    ASSERT_TRUE(std::holds_alternative<std::string>(opened));
    EXPECT_NE(std::get<std::string>(opened).find("none/audit.log"), std::string::npos);
    options_.file = folder_;
    EXPECT_TRUE(std::holds_alternative<std::string>(AuditLog::open(options_)));
}

TEST_F(AuditTest, IsNotWrittenThroughALink) {
    std::filesystem::create_symlink("elsewhere", options_.file);
    EXPECT_TRUE(std::holds_alternative<std::string>(AuditLog::open(options_)));
}

TEST_F(AuditTest, GuessesAreCountedWhenTheyAreTooManyToBeListed) {
    options_.login_lines_a_minute = 3;
    open();
    for (int i = 0; i < 1000; ++i) log_->login_refused("192.0.2.7", "TokenUnknown");
    log_.reset();
    ASSERT_EQ(lines().size(), 4U);
    EXPECT_EQ(lines()[0].at("peer"), "192.0.2.7");
    EXPECT_EQ(lines()[0].at("verb"), "login");
    EXPECT_EQ(lines()[3].at("number"), 997);
}

/// Files of this process may not grow beyond so many bytes: a full disk, for whoever may not touch the disk itself.
class FullDisk {
  public:
    explicit FullDisk(rlim_t bytes) {
        ::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit now{bytes, before_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &now);
    }
    ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before_); }

  private:
    rlimit before_{};
};

TEST_F(AuditTest, OnAFullDiskLinesAreLostAndCountedAndItGoesOnAfterwards) {
    open();
    {
        const FullDisk full(1000);
        for (int i = 0; i < 20; ++i) {
            log_->record(update("{}", R"({"a":1})"));
            log_->flush();
        }
        EXPECT_GT(log_->lost(), 10U);
        EXPECT_EQ(log_->lost() + log_->written(), 20U);
        EXPECT_EQ(log_->refusal(), "") << "not required: changes go on";
    }
    log_->record(update("{}", R"({"b":1})"));
    log_->flush();
    const std::vector<Json> all = lines();  // each line parses: none is torn
    EXPECT_EQ(all.size(), log_->written());
    EXPECT_TRUE(all.back().at("new").contains("b"));
}

TEST_F(AuditTest, WhereItIsRequiredNothingMayBeChangedUntilItIsWrittenAgain) {
    options_.required = true;
    open();
    EXPECT_EQ(log_->refusal(), "");
    {
        const FullDisk full(10);
        log_->record(update("{}", R"({"a":1})"));
        log_->flush();
        EXPECT_NE(log_->refusal().find(options_.file), std::string::npos);
    }
    // It tries by itself: nobody records anything while nothing may be changed.
    while (!log_->refusal().empty()) std::this_thread::yield();
    log_->record(update("{}", R"({"b":1})"));
    log_->flush();
    EXPECT_TRUE(lines().back().at("new").contains("b"));
}

TEST_F(AuditTest, ManyRecordAtOnce) {
    open();
    std::vector<std::thread> writers;
    for (int i = 0; i < 4; ++i) {
        writers.emplace_back([&] {
            for (int j = 0; j < 250; ++j) {
                log_->record(update("{}", R"({"a":1})"));
                if (j % 50 == 0) log_->reopen();
            }
        });
    }
    for (std::thread& writer : writers) writer.join();
    log_.reset();
    EXPECT_EQ(lines().size(), 1000U);
}

}  // namespace
}  // namespace guideway::controlplane
