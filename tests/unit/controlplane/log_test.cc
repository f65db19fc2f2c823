// What an operator reads in the journal: one line an event, every value readable, each trouble said once.
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include "controlplane/log_value.h"
#include "controlplane/manager.h"
#include "controlplane/metrics.h"
#include "controlplane/store/sqlite_store.h"
#include "tests/unit/controlplane/fake_dataplane.h"

namespace guideway::controlplane {
namespace {

using namespace std::chrono_literals;
using testing_support::FakeDataplane;
using testing_support::TemporaryFolder;

class Lines final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    std::size_t count(const std::string& part) {
        const std::lock_guard lock(mutex_);
        std::size_t found = 0;
        for (const std::string& line : lines_) found += line.find(part) != std::string::npos ? 1 : 0;
        return found;
    }
    std::string all() {
        const std::lock_guard lock(mutex_);
        std::string text;
        for (const std::string& line : lines_) text += line + "\n";
        return text;
    }

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        lines_.emplace_back(message.payload.data(), message.payload.size());
    }
    void flush_() override {}

  private:
    std::vector<std::string> lines_;
};

TEST(LogValue, QuotesAndControlCharactersCannotEndTheValueOrTheLine) {
    EXPECT_EQ(log_value(""), R"("")");
    EXPECT_EQ(log_value("no pool \"a\" \\ here"), R"("no pool \"a\" \\ here")");
    EXPECT_EQ(log_value("k\nlevel=error x\r\t\x01\x7f"), R"("k\nlevel=error x\r\t\x01\x7f")");
    EXPECT_EQ(log_value("füß"), "\"füß\"");
}

class LogTest : public testing::Test {
  protected:
    LogTest() : dataplane(folder.file("dp.sock")), lines(std::make_shared<Lines>()), before(spdlog::default_logger()) {
        spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", lines));
    }
    ~LogTest() override {
        manager.reset();
        dataplane.stop();
        spdlog::set_default_logger(before);
    }
    void start() {
        auto opened = store::SqliteStore::open(folder.file("store.db"));
        ManagerOptions options;
        options.link.socket = folder.file("dp.sock");
        options.link.first_backoff = 1ms;
        options.link.longest_backoff = 2ms;
        options.link.retry_refused = 1ms;
        auto managed =
            Manager::open(std::move(std::get<std::unique_ptr<store::SqliteStore>>(opened)), options, metrics);
        if (const auto* why = std::get_if<std::string>(&managed)) FAIL() << *why;
        manager = std::move(std::get<std::unique_ptr<Manager>>(managed));
    }
    void put_pool() {
        resources::AddressPool pool;
        pool.metadata.name = "a";
        pool.spec.addresses = {"203.0.113.7-203.0.113.7"};
        ASSERT_TRUE(manager->ensure(pool, {}).ok());
    }
    void put(const std::string& name, const std::string& sharing_key) {
        resources::LoadBalancer object;
        object.metadata.namespace_ = "default";
        object.metadata.name = name;
        object.spec.ports = {{"", contract::Protocol::tcp, 80, 30080}};
        object.spec.addresses = {IpAddress::parse("203.0.113.7").value()};
        object.spec.sharing_key = sharing_key;
        ASSERT_TRUE(manager->ensure(object, {}).ok());
    }

    TemporaryFolder folder;
    FakeDataplane dataplane;
    Metrics metrics;
    std::shared_ptr<Lines> lines;
    std::shared_ptr<spdlog::logger> before;
    std::unique_ptr<Manager> manager;
};

TEST_F(LogTest, WhatAClientWroteCannotForgeALine) {
    start();
    put_pool();
    put("one", "k\nlevel=critical \"forged\"");
    put("two", "other");
    EXPECT_EQ(lines->count("load_balancer=default/two event=AllocationFailed message=\"SharingKeyMismatch: "), 1U)
        << lines->all();
    EXPECT_EQ(lines->count("\n"), 0U) << lines->all();
    EXPECT_EQ(lines->count(R"(k\nlevel=critical \"forged\")"), 1U) << lines->all();
}

TEST_F(LogTest, ChangesOfPoolsAndNodesAreToldWithTheirRevision) {
    start();
    put_pool();
    resources::Node node;
    node.metadata.name = "n1";
    node.spec.addresses = {IpAddress::parse("10.0.2.11").value()};
    ASSERT_TRUE(manager->ensure(node, {}).ok());
    node.spec.drain = true;
    ASSERT_TRUE(manager->ensure(node, {}).ok());
    ASSERT_TRUE(manager->ensure(node, {}).ok());  // the same again: nothing to tell
    ASSERT_TRUE(manager->delete_node("default", "n1", {}).ok());
    EXPECT_EQ(lines->count("address_pool=a created revision=2"), 1U) << lines->all();
    EXPECT_EQ(lines->count("node=n1 created revision=3"), 1U) << lines->all();
    EXPECT_EQ(lines->count("node=n1 changed"), 1U) << lines->all();
    EXPECT_EQ(lines->count("node=n1 deleted revision=5"), 1U) << lines->all();
}

TEST_F(LogTest, TheDataplanesComingGoingAndRefusingIsToldOnceEach) {
    dataplane.start();
    start();
    ASSERT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_EQ(lines->count("dataplane connected generation="), 1U) << lines->all();

    dataplane.with_lock([](FakeDataplane& self) { self.refuse_with = {{"/state/services", "too \"many\""}}; });
    put_pool();
    put("one", "");
    // Offered several times, refused each time.
    ASSERT_TRUE(dataplane.until([](const FakeDataplane& self) { return self.applied.size() >= 5; }));
    EXPECT_EQ(lines->count("dataplane refused generation="), 1U) << lines->all();
    EXPECT_EQ(lines->count(R"(too \"many\")"), 1U) << lines->all();

    dataplane.stop();
    const auto tried = [&] { return lines->count("dataplane not connected error="); };
    for (const auto end = std::chrono::steady_clock::now() + 20s;
         lines->count("Connection refused") == 0 && std::chrono::steady_clock::now() < end;) {
        std::this_thread::yield();
    }
    EXPECT_EQ(lines->count("Connection refused"), 1U) << lines->all();
    // The connection that ended, one that came into a closing queue, and that no new one is taken.
    EXPECT_LE(tried(), 3U) << lines->all();
}

}  // namespace
}  // namespace guideway::controlplane
