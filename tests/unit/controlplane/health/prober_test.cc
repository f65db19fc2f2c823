// Real sockets on loopback: 127.1.0.0/16 is all this machine's.
#include "controlplane/health/prober.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/controlplane/health/answering_machine.h"

namespace guideway::health {
namespace {

using namespace std::chrono_literals;
using testing::AnsweringMachine;
using testing::Behaviour;
using testing::http;
using testing::local_endpoints;
using testing::loopback;

/// What the prober told, and waiting for it.
class Told {
  public:
    Prober::OnChange on_change() {
        return [this](std::vector<Changed> changes) {
            const std::lock_guard lock(mutex_);
            for (Changed& one : changes) {
                turns_[one.target.key] += one.turned ? 1 : 0;
                ++tellings_[one.target.key];
                last_[one.target.key] = std::move(one);
            }
            changed_.notify_all();
        };
    }
    Prober::OnProbe on_probe() {
        return [this](std::string_view result, double seconds) {
            const std::lock_guard lock(mutex_);
            ++counts_[std::string(result)];
            longest_ = std::max(longest_, seconds);
            changed_.notify_all();
        };
    }
    bool wait(const std::function<bool(Told&)>& condition, std::chrono::seconds longest = 30s) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, longest, [&] { return condition(*this); });
    }
    bool wait_for_reason(const std::string& key, const std::string& reason) {
        return wait([&](Told& told) { return told.last_.contains(key) && told.last_[key].verdict.reason == reason; });
    }
    /// For what follows, `number` more probes of the kind were made.
    bool wait_for_more(const std::string& result, std::uint64_t number) {
        std::uint64_t wanted = 0;
        {
            const std::lock_guard lock(mutex_);
            wanted = counts_[result] + number;
        }
        return wait([&](Told& told) { return told.counts_[result] >= wanted; });
    }
    Changed last(const std::string& key) {
        const std::lock_guard lock(mutex_);
        return last_[key];
    }
    int turns(const std::string& key) {
        const std::lock_guard lock(mutex_);
        return turns_[key];
    }
    int tellings(const std::string& key) {
        const std::lock_guard lock(mutex_);
        return tellings_[key];
    }
    std::uint64_t count(const std::string& result) {
        const std::lock_guard lock(mutex_);
        return counts_[result];
    }
    double longest() {
        const std::lock_guard lock(mutex_);
        return longest_;
    }

    std::map<std::string, Changed> last_;

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::map<std::string, int> turns_, tellings_;
    std::map<std::string, std::uint64_t> counts_;
    double longest_ = 0;
};

ProberOptions quick(std::chrono::milliseconds interval = 200ms, std::chrono::milliseconds timeout = 150ms) {
    ProberOptions options;
    options.interval = interval;
    options.timeout = timeout;
    options.seed = 1;
    return options;
}

/// A port of this address on which nobody listens.
std::uint16_t closed_port(const IpAddress& address) {
    std::uint16_t port = 0;
    ::close(testing::listening_socket(address, port));
    return port;
}

TEST(Prober, Rule9AsksForHealthzAndTakes200AsHealthy) {
    AnsweringMachine machine;
    const std::uint16_t port = machine.listen(1, loopback(1), Behaviour::answer);
    machine.start();
    Told told;
    Prober prober(quick(), told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets({{"node-1", loopback(1), port}});
    ASSERT_TRUE(told.wait_for_reason("node-1", kOk));
    EXPECT_TRUE(told.last("node-1").verdict.healthy);
    EXPECT_EQ(told.turns("node-1"), 0) << "it counted as healthy before";
    const std::string request = machine.last_request();
    EXPECT_TRUE(request.starts_with("GET /healthz HTTP/1.1\r\nHost: 127.1.0.1:" + std::to_string(port) + "\r\n"))
        << request;
    EXPECT_NE(request.find("\r\nConnection: close\r\n"), std::string::npos) << request;
    ASSERT_TRUE(told.wait_for_more("ok", 3));
    EXPECT_EQ(told.tellings("node-1"), 1) << "only changes are told";
}

TEST(Prober, Rule9NamesEachKindOfFailure) {
    AnsweringMachine machine;
    struct Row {
        std::string key;
        Behaviour behaviour;
        std::string text, reason, message;
    };
    const std::vector<Row> rows = {
        {"503", Behaviour::answer, http(503, "no"), "Status503", "answers 503"},
        {"redirect", Behaviour::answer, http(302), "Status302", "answers 302"},
        {"silent", Behaviour::silent, "", kTimeout, "no whole answer within 150 ms"},
        {"drip", Behaviour::drip, http(200, "slow"), kTimeout, "no whole answer within 150 ms"},
        {"garbage", Behaviour::answer, "\x16\x03\x01 hello", kBadAnswer, "the answer is no HTTP: \"... hello\""},
        {"huge", Behaviour::huge, "", kBadAnswer, "the answer's head has more than 8192 bytes"},
        {"close", Behaviour::close, "", kBadAnswer, ""},
        {"reset", Behaviour::reset, "", kBadAnswer, "the connection was reset before there was an answer"},
        {"cut", Behaviour::answer, "HTTP/1.1 200 O", kBadAnswer, "the answer's head is cut short: \"HTTP/1.1 200 O\""},
    };
    std::vector<Target> targets;
    unsigned number = 1;
    for (const Row& row : rows) {
        const std::uint16_t port = machine.listen(number, loopback(number), row.behaviour, row.text);
        targets.push_back({row.key, loopback(number), port});
        ++number;
    }
    targets.push_back({"refused", loopback(number), closed_port(loopback(number))});
    machine.start();
    Told told;
    Prober prober(quick(), told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets(targets);
    for (const Row& row : rows) {
        ASSERT_TRUE(told.wait_for_reason(row.key, row.reason)) << row.key << ": " << told.last(row.key).verdict.reason;
        const Changed last = told.last(row.key);
        EXPECT_FALSE(last.verdict.healthy) << row.key;
        if (!row.message.empty()) {
            EXPECT_EQ(last.verdict.message, row.message) << row.key;
        }
    }
    ASSERT_TRUE(told.wait_for_reason("refused", kRefused));
    EXPECT_EQ(told.last("refused").verdict.message, "the port is closed");
    EXPECT_GT(told.count("status"), 0u);
    EXPECT_GT(told.count("timeout"), 0u);
    EXPECT_GT(told.count("bad_answer"), 0u);
    EXPECT_GT(told.count("refused"), 0u);
}

TEST(Prober, AHeadIsEnoughWhereNobodyWantsTheBody) {
    AnsweringMachine machine;
    const std::string text = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + std::string(50'000, 'x');
    const std::uint16_t port = machine.listen(1, loopback(1), Behaviour::answer, text);
    machine.start();
    Told told;
    Prober prober(quick(), told.on_change());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets({{"node-1", loopback(1), port}});
    EXPECT_TRUE(told.wait_for_reason("node-1", kOk));
}

TEST(Prober, Rule9ReadsHowManyLocalEndpointsThereAre) {
    AnsweringMachine machine;
    const std::uint16_t port = machine.listen(1, loopback(1), Behaviour::answer, local_endpoints(3));
    machine.start();
    Told told;
    Prober prober(quick(), told.on_change());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets({{"web node-1", loopback(1), port, true}});
    ASSERT_TRUE(told.wait_for_reason("web node-1", kOk));
    EXPECT_EQ(told.last("web node-1").verdict.endpoints, 3u);
    machine.behave(1, Behaviour::answer, local_endpoints(1));
    ASSERT_TRUE(told.wait([](Told& all) { return all.last_["web node-1"].verdict.endpoints == 1u; }));
    machine.behave(1, Behaviour::answer, local_endpoints(0));
    ASSERT_TRUE(told.wait_for_reason("web node-1", "Status503"));
    EXPECT_FALSE(told.last("web node-1").verdict.healthy);
}

TEST(Prober, Rule9TurnsAfterTwoFailuresAndBackAfterOneSuccess) {
    AnsweringMachine machine;
    const std::uint16_t port = machine.listen(1, loopback(1), Behaviour::answer);
    machine.start();
    Told told;
    Prober prober(quick(), told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets({{"node-1", loopback(1), port}});
    ASSERT_TRUE(told.wait_for_reason("node-1", kOk));
    machine.behave(1, Behaviour::answer, http(503));
    ASSERT_TRUE(told.wait_for_reason("node-1", "Status503"));
    EXPECT_GE(told.count("status"), 2u);
    EXPECT_EQ(told.turns("node-1"), 1);
    machine.behave(1, Behaviour::answer, http(200));
    ASSERT_TRUE(told.wait_for_reason("node-1", kOk));
    EXPECT_EQ(told.turns("node-1"), 2);
}

TEST(Prober, Rule16OneThatJoinsIsAskedSoonAndForgivenManyFailures) {
    AnsweringMachine machine;
    const std::uint16_t port = machine.listen(1, loopback(1), Behaviour::answer, local_endpoints(0));
    const std::uint16_t ends = machine.listen(2, loopback(2), Behaviour::answer, local_endpoints(0));
    machine.start();
    Told told;
    // Asked as others are, the first probe alone could take minutes.
    Prober prober(quick(300s, 1s), told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets({{"web node-1", loopback(1), port, true, true}});
    ASSERT_TRUE(told.wait_for_more("status", 1));
    prober.stop();
    EXPECT_EQ(told.tellings("web node-1"), 0);

    Told soon;
    Prober quicker(quick(400ms), soon.on_change(), soon.on_probe());
    ASSERT_EQ(quicker.start(), "");
    quicker.set_targets({{"web node-1", loopback(1), port, true, true}});
    ASSERT_TRUE(soon.wait_for_more("status", 5));
    machine.behave(1, Behaviour::answer, local_endpoints(1));
    ASSERT_TRUE(soon.wait_for_reason("web node-1", kOk));
    quicker.set_targets({{"web node-2", loopback(2), ends, true, true}});
    ASSERT_TRUE(soon.wait_for_reason("web node-2", "Status503"));
    EXPECT_GE(soon.count("status"), 20u);
}

TEST(Prober, UnchangedTargetsKeepTheirVerdictAndChangedOnesBeginAnew) {
    AnsweringMachine machine;
    const std::uint16_t first = machine.listen(1, loopback(1), Behaviour::answer, http(503));
    const std::uint16_t second = machine.listen(2, loopback(2), Behaviour::answer);
    machine.start();
    Told told;
    Prober prober(quick(), told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    const Target bad{"bad", loopback(1), first};
    prober.set_targets({bad, {"good", loopback(2), second}});
    ASSERT_TRUE(told.wait_for_reason("bad", "Status503"));
    const int tellings = told.tellings("bad");
    for (int i = 0; i < 50; ++i) prober.set_targets({bad});
    prober.update({bad}, {"unknown"});
    ASSERT_TRUE(told.wait_for_more("status", 3));
    EXPECT_EQ(told.tellings("bad"), tellings) << "begun anew, it would have been told again";
    // The same key at another address.
    prober.update({{"bad", loopback(2), second}}, {});
    ASSERT_TRUE(told.wait_for_reason("bad", kOk));
    EXPECT_EQ(told.last("bad").target.address, loopback(2));
    EXPECT_FALSE(told.last("bad").turned) << "a new target counts as healthy before it is probed";
}

TEST(Prober, ATargetThatIsGoneIsNotAskedAnyMore) {
    AnsweringMachine machine;
    const std::uint16_t gone = machine.listen(1, loopback(1), Behaviour::silent);
    const std::uint16_t stays = machine.listen(2, loopback(2), Behaviour::answer);
    machine.start();
    Told told;
    Prober prober(quick(), told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets({{"gone", loopback(1), gone}, {"stays", loopback(2), stays}});
    ASSERT_TRUE(told.wait_for_reason("gone", kTimeout));
    prober.update({}, {"gone"});
    // One round later it is out; then nothing more comes there.
    ASSERT_TRUE(told.wait_for_more("ok", 2));
    const std::size_t asked = machine.arrivals(1).size();
    ASSERT_TRUE(told.wait_for_more("ok", 5));
    EXPECT_EQ(machine.arrivals(1).size(), asked);
}

TEST(Prober, ComesFromTheSourceAddressThatIsConfigured) {
    AnsweringMachine machine;
    const std::uint16_t port = machine.listen(1, loopback(1), Behaviour::answer);
    machine.start();
    Told told;
    ProberOptions options = quick();
    options.source_ipv4 = loopback(77);
    Prober prober(options, told.on_change());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets({{"node-1", loopback(1), port}});
    ASSERT_TRUE(told.wait_for_reason("node-1", kOk));
    EXPECT_EQ(machine.last_peer(), "127.1.0.77");
}

TEST(Prober, ASourceAddressThatIsNotHereTakesNoNodeAway) {
    Told told;
    ProberOptions options = quick();
    options.source_ipv4 = IpAddress::parse("203.0.113.77");
    Prober prober(options, told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets({{"node-1", loopback(1), closed_port(loopback(1))}});
    ASSERT_TRUE(told.wait_for_more("not_probed", 5));
    EXPECT_EQ(told.tellings("node-1"), 0);
    EXPECT_EQ(prober.trouble(), "cannot probe from the source address 203.0.113.77: Cannot assign requested address");
}

TEST(Prober, ItsSocketsCarryTheMarkThatIsConfigured) {
    // Who may not give marks asks nobody and judges nobody; who may reaches the node as ever: no rule here looks at marks.
    AnsweringMachine machine;
    const std::uint16_t port = machine.listen(1, loopback(1), Behaviour::answer);
    machine.start();
    Told told;
    ProberOptions options = quick();
    options.mark = 1002;
    Prober prober(options, told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets({{"node-1", loopback(1), port}});
    if (geteuid() == 0) {
        EXPECT_TRUE(told.wait_for_reason("node-1", kOk));
    } else {
        EXPECT_TRUE(told.wait_for_more("not_probed", 2));
        EXPECT_NE(prober.trouble().find("cannot give probes the mark 1002"), std::string::npos) << prober.trouble();
    }
}

TEST(Prober, ProbesIpv6) {
    AnsweringMachine machine;
    std::uint16_t port = 0;
    try {
        port = machine.listen(1, *IpAddress::parse("::1"), Behaviour::answer);
    } catch (const std::exception& error) {
        GTEST_SKIP() << error.what();
    }
    machine.start();
    Told told;
    Prober prober(quick(), told.on_change());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets({{"node-1", *IpAddress::parse("::1"), port}});
    ASSERT_TRUE(told.wait_for_reason("node-1", kOk));
    EXPECT_NE(machine.last_request().find("\r\nHost: [::1]:" + std::to_string(port) + "\r\n"), std::string::npos);
}

TEST(Prober, AThousandAndMoreTargetsOfAllKindsInOneThread) {
    testing::allow_many_files();
    AnsweringMachine machine;
    std::vector<Target> targets;
    std::map<std::string, std::string> expected;
    constexpr unsigned kTargets = 2000;
    for (unsigned i = 0; i < kTargets; ++i) {
        const IpAddress address = loopback(256 + i);
        Target target{"node-" + std::to_string(i), address, 0};
        switch (i % 10) {
            case 0:
                target.port = closed_port(address);
                expected[target.key] = kRefused;
                break;
            case 1:
                target.port = machine.listen(i, address, Behaviour::silent);
                expected[target.key] = kTimeout;
                break;
            case 2:
                target.port = machine.listen(i, address, Behaviour::answer, http(503));
                expected[target.key] = "Status503";
                break;
            case 3:
                target.port = machine.listen(i, address, Behaviour::huge);
                expected[target.key] = kBadAnswer;
                break;
            default:
                target.port = machine.listen(i, address, Behaviour::answer);
                expected[target.key] = kOk;
        }
        targets.push_back(std::move(target));
    }
    machine.start();
    Told told;
    ProberOptions options;
    options.interval = 4000ms;
    options.timeout = 3000ms;  // for a machine of two busy cores under a sanitizer, which answers for the targets, too
    options.seed = 1;
    Prober prober(options, told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    const auto begun = std::chrono::steady_clock::now();
    prober.set_targets(targets);
    const auto threads = std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
    const bool all = told.wait(
        [&](Told& now) {
            return now.last_.size() == kTargets && std::all_of(expected.begin(), expected.end(), [&](const auto& one) {
                       return now.last_[one.first].verdict.reason == one.second;
                   });
        },
        120s);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    ASSERT_TRUE(all);
    EXPECT_LE(threads, 8) << "one a target would be 2000";
    for (const auto& [key, reason] : expected) EXPECT_EQ(told.last(key).verdict.healthy, reason == kOk) << key;
    std::printf("%u targets decided after %.2f s, %zu connections at once at most\n", kTargets, seconds,
                machine.most_at_once());
}

TEST(Prober, ProbesAreSpreadOverTheIntervalAndNeverMoreAtOnceThanAllowed) {
    testing::allow_many_files();
    AnsweringMachine machine;
    std::vector<Target> targets;
    constexpr unsigned kTargets = 400;
    for (unsigned i = 0; i < kTargets; ++i) {
        targets.push_back(
            {"node-" + std::to_string(i), loopback(256 + i), machine.listen(i, loopback(256 + i), Behaviour::silent)});
    }
    machine.start();
    Told told;
    ProberOptions options;
    options.interval = 1000ms;
    options.timeout = 200ms;
    options.seed = 1;
    options.most_sockets = 40;
    Prober prober(options, told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets(targets);
    ASSERT_TRUE(told.wait([&](Told& now) { return now.last_.size() == kTargets; })) << "all have their turn";
    // The machine sees the end of one connection a moment later than the prober begins another.
    EXPECT_LE(machine.most_at_once(), 2 * options.most_sockets);
    // In the first interval no moment has most of the first probes.
    std::map<long, int> moments;
    for (unsigned i = 0; i < kTargets; ++i) {
        const auto arrivals = machine.arrivals(i);
        ASSERT_FALSE(arrivals.empty());
        ++moments[std::chrono::duration_cast<std::chrono::milliseconds>(arrivals[0].time_since_epoch()).count() / 250];
    }
    EXPECT_GE(moments.size(), 3u);
}

TEST(Prober, StopsInTheMiddleOfProbes) {
    AnsweringMachine machine;
    const std::uint16_t port = machine.listen(1, loopback(1), Behaviour::silent);
    machine.start();
    Told told;
    ProberOptions options = quick(2000ms, 1900ms);
    std::vector<Target> targets;
    for (int i = 0; i < 100; ++i) targets.push_back({std::to_string(i), loopback(1), port});
    Prober prober(options, told.on_change(), told.on_probe());
    ASSERT_EQ(prober.start(), "");
    prober.set_targets(targets);
    while (machine.accepted() < 10) std::this_thread::yield();
    const auto begun = std::chrono::steady_clock::now();
    prober.stop();
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 1s) << "it does not wait for the probes under way";
}

TEST(Prober, TargetsMayBeSetFromManyThreadsAndFromTheCallback) {
    AnsweringMachine machine;
    const std::uint16_t port = machine.listen(1, loopback(1), Behaviour::answer);
    machine.start();
    Told told;
    Prober* self = nullptr;
    const auto tell = told.on_change();
    std::atomic<int> more{0};
    Prober prober(
        quick(20ms, 15ms),
        [&](std::vector<Changed> changes) {
            const int number = more++;
            if (number < 50) self->update({{"more-" + std::to_string(number), loopback(1), port}}, {});
            tell(std::move(changes));
        },
        told.on_probe());
    self = &prober;
    ASSERT_EQ(prober.start(), "");
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < 100; ++i) {
                const std::string key = std::to_string(t) + "-" + std::to_string(i);
                prober.update({{key, loopback(1), port}}, {});
                if (i % 2 == 1) prober.update({}, {key});
            }
        });
    }
    for (std::thread& one : threads) one.join();
    EXPECT_TRUE(told.wait([](Told& all) { return all.last_.contains("0-0") && all.last_.contains("3-98"); }));
}

}  // namespace
}  // namespace guideway::health
