#include "dataplane/control/control.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "api/contract/forwarding_state_codec.h"
#include "dataplane/control/line_server.h"

namespace guideway::control {
namespace {

contract::ForwardingState state_of(std::uint64_t generation, const std::string& vip = "203.0.113.10") {
    contract::ForwardingState state;
    state.generation = generation;
    state.backend_sets.push_back({"nodes", IpFamily::ipv4, {{"node-1", *IpAddress::parse("10.0.2.11"), 0, 1}}});
    state.services.push_back({"default/web", *IpAddress::parse(vip), contract::Protocol::tcp, 80, "nodes", 30080, 0});
    return state;
}

/// Stands for the workers: remembers what was applied, refuses when told to.
struct FakeEngine {
    std::vector<contract::ForwardingState> applied;
    std::vector<contract::Fault> refuse;

    Engine engine() {
        Engine result;
        result.apply = [this](const contract::ForwardingState& state) {
            if (refuse.empty()) applied.push_back(state);
            return refuse;
        };
        result.counters = [] { return contract::Counters{}; };
        result.explain = [](const contract::ExplainRequest& request) {
            contract::ExplainAnswer answer;
            answer.verdict = request.destination_port == 80 ? "forward" : "refuse";
            return answer;
        };
        result.ports = [] { return std::vector<contract::PortStatus>{{"client0", "af_packet", true}}; };
        return result;
    }
};

class ControlTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "guideway-control-XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder = pattern;
        settings.state_file = (folder / "state.json").string();
        settings.own_addresses = {{*IpAddress::parse("10.0.2.100"), "a SNAT address"}};
        settings.workers = 2;
        settings.idle = "busy";
        settings.version = "1.2.3";
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    static contract::Response ask(Control& control, const contract::Request& request) {
        const auto response = contract::decode_response(control.handle(contract::encode(request)));
        EXPECT_TRUE(response.ok());
        return response.value.value_or(contract::Response{});
    }
    std::string on_disk() const {
        std::ifstream file(settings.state_file);
        return {std::istreambuf_iterator<char>(file), {}};
    }

    std::filesystem::path folder;
    ControlSettings settings;
    FakeEngine fake;
};

TEST_F(ControlTest, AStateIsInForceAndOnDiskWhenItIsAnswered) {
    Control control(settings, fake.engine());
    control.load();
    const auto response = ask(control, contract::ApplyRequest{state_of(7)});
    EXPECT_TRUE(response.ok);
    EXPECT_EQ(response.generation, 7U);
    ASSERT_EQ(fake.applied.size(), 1U);
    EXPECT_EQ(contract::decode_forwarding_state(on_disk()).value, state_of(7));
    EXPECT_EQ(ask(control, contract::StateRequest{}).state, state_of(7));
}

TEST_F(ControlTest, ARestartForwardsOnTheStateFromDisk) {
    {
        Control control(settings, fake.engine());
        ask(control, contract::ApplyRequest{state_of(7)});
    }
    FakeEngine after;
    Control control(settings, after.engine());
    control.load();
    ASSERT_EQ(after.applied.size(), 1U);
    EXPECT_EQ(after.applied[0], state_of(7));
    EXPECT_EQ(control.generation(), 7U);
}

TEST_F(ControlTest, TheStateInForceIsAnsweredWithoutWork) {
    Control control(settings, fake.engine());
    ask(control, contract::ApplyRequest{state_of(7)});
    EXPECT_TRUE(ask(control, contract::ApplyRequest{state_of(7)}).ok);
    EXPECT_EQ(fake.applied.size(), 1U);
    auto other = state_of(7);
    other.services[0].port = 81;
    EXPECT_TRUE(ask(control, contract::ApplyRequest{other}).ok);
    EXPECT_EQ(fake.applied.size(), 2U);
}

TEST_F(ControlTest, AnOlderGenerationIsAppliedTheStoreMayBeRestored) {
    Control control(settings, fake.engine());
    ask(control, contract::ApplyRequest{state_of(7)});
    EXPECT_EQ(ask(control, contract::ApplyRequest{state_of(3)}).generation, 3U);
}

TEST_F(ControlTest, ARefusalGivesEveryReasonAndChangesNothing) {
    Control control(settings, fake.engine());
    ask(control, contract::ApplyRequest{state_of(7)});
    const std::string before = on_disk();
    fake.refuse = {{"/services/0", "one"}, {"/services/1", "two"}};
    const auto response = ask(control, contract::ApplyRequest{state_of(8)});
    EXPECT_FALSE(response.ok);
    EXPECT_EQ(response.generation, 7U);
    ASSERT_EQ(response.faults.size(), 2U);
    EXPECT_EQ(response.faults[1], (contract::Fault{"/state/services/1", "two"}));
    EXPECT_EQ(on_disk(), before);
    EXPECT_EQ(ask(control, contract::StateRequest{}).state, state_of(7));
}

TEST_F(ControlTest, AVipThatIsTheAppliancesOwnIsRefusedByName) {
    Control control(settings, fake.engine());
    const auto response = ask(control, contract::ApplyRequest{state_of(7, "10.0.2.100")});
    EXPECT_FALSE(response.ok);
    ASSERT_EQ(response.faults.size(), 1U);
    EXPECT_EQ(response.faults[0].field, "/state/services/0/vip");
    EXPECT_NE(response.faults[0].message.find("a SNAT address"), std::string::npos);
    EXPECT_TRUE(fake.applied.empty());
}

TEST_F(ControlTest, WhatIsNoRequestIsAnsweredWithItsFaults) {
    Control control(settings, fake.engine());
    for (const char* line : {"", "{", "[]", "{\"type\":\"reboot\"}", "{\"type\":\"apply\"}",
                             "{\"type\":\"apply\",\"state\":{\"format\":99,\"generation\":1}}"}) {
        const auto response = contract::decode_response(control.handle(line));
        ASSERT_TRUE(response.ok()) << line;
        EXPECT_FALSE(response.value->ok) << line;
        EXPECT_FALSE(response.value->faults.empty()) << line;
    }
    EXPECT_TRUE(contract::decode_response(Control::too_long()).ok());
}

TEST_F(ControlTest, ADamagedStateFileIsSetAsideAndTheStartIsEmpty) {
    std::ofstream(settings.state_file) << "{\"format\": 1, \"generation\": 7, \"backend_sets\"";
    Control control(settings, fake.engine());
    control.load();
    EXPECT_EQ(control.generation(), 0U);
    EXPECT_TRUE(fake.applied.empty());
    EXPECT_FALSE(std::filesystem::exists(settings.state_file));
    EXPECT_TRUE(std::filesystem::exists(settings.state_file + ".damaged"));
}

TEST_F(ControlTest, AStateFileOfANewerFormatIsSetAside) {
    std::string text = contract::encode(state_of(7));
    text.replace(text.find("\"format\":1"), 10, "\"format\":2");
    std::ofstream(settings.state_file) << text;
    Control control(settings, fake.engine());
    control.load();
    EXPECT_EQ(control.generation(), 0U);
    EXPECT_TRUE(std::filesystem::exists(settings.state_file + ".damaged"));
}

TEST_F(ControlTest, ADiskThatRefusesIsSaidAndTriedAgain) {
    settings.state_file = (folder / "not-a-folder" / "state.json").string();
    std::ofstream(folder / "not-a-folder") << "a file";
    Control control(settings, fake.engine());
    const auto response = ask(control, contract::ApplyRequest{state_of(7)});
    EXPECT_FALSE(response.ok);
    EXPECT_EQ(response.generation, 7U);
    ASSERT_EQ(response.faults.size(), 1U);
    EXPECT_EQ(response.faults[0].field, "/state_file");
    std::filesystem::remove(folder / "not-a-folder");
    EXPECT_TRUE(ask(control, contract::ApplyRequest{state_of(7)}).ok);
    EXPECT_EQ(fake.applied.size(), 1U);  // in force since the first time
    EXPECT_NE(on_disk(), "");
}

TEST_F(ControlTest, AnswersCountersExplainAndStatus) {
    settings.started_at_unix_seconds = 1700000000;
    Control control(settings, fake.engine());
    ask(control, contract::ApplyRequest{state_of(7)});
    const auto counters = ask(control, contract::CountersRequest{}).counters;
    ASSERT_TRUE(counters);
    EXPECT_EQ(counters->generation, 7U);
    EXPECT_EQ(counters->started_at_unix_seconds, 1700000000U);
    contract::ExplainRequest question;
    question.source = *IpAddress::parse("192.0.2.10");
    question.source_port = 40000;
    question.destination = *IpAddress::parse("203.0.113.10");
    question.destination_port = 80;
    const auto answer = ask(control, question).answer;
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->verdict, "forward");
    const auto status = ask(control, contract::StatusRequest{}).status;
    ASSERT_TRUE(status);
    EXPECT_EQ(status->version, "1.2.3");
    EXPECT_EQ(status->workers, 2U);
    EXPECT_EQ(status->idle, "busy");
    ASSERT_EQ(status->ports.size(), 1U);
    EXPECT_EQ(status->ports[0].driver, "af_packet");
}

TEST_F(ControlTest, ATapIsItsClients) {
    std::uint64_t owner = 0;
    Engine engine = fake.engine();
    engine.begin_tap = [&](const contract::TapRequest& request, std::uint64_t client) {
        if (owner != 0) return std::vector<contract::Fault>{{"/tap", "in use by " + request.who}};
        owner = client;
        return std::vector<contract::Fault>{};
    };
    engine.read_tap = [&](std::uint64_t client) -> std::optional<contract::TapAnswer> {
        if (client != owner) return std::nullopt;
        contract::TapAnswer answer;
        answer.matched = 5;
        return answer;
    };
    engine.end_tap = [&](std::uint64_t client) {
        if (client == owner) owner = 0;
    };
    Control control(settings, engine);
    const auto ask_as = [&](std::uint64_t client, const contract::Request& request) {
        return contract::decode_response(control.handle(contract::encode(request), client)).value.value();
    };
    contract::TapRequest wanted;
    wanted.who = "me";
    const auto early = ask_as(1, contract::TapReadRequest{});
    EXPECT_FALSE(early.ok);
    EXPECT_EQ(early.faults.at(0).field, "/type");
    EXPECT_TRUE(ask_as(1, wanted).ok);
    EXPECT_EQ(ask_as(1, contract::TapReadRequest{}).tap->matched, 5U);
    EXPECT_EQ(ask_as(2, wanted).faults.at(0).message, "in use by me");
    EXPECT_FALSE(ask_as(2, contract::TapReadRequest{}).ok);
    control.gone(2);
    EXPECT_EQ(owner, 1U);
    control.gone(1);
    EXPECT_TRUE(ask_as(2, wanted).ok);
}

TEST_F(ControlTest, ServesTheSocket) {
    Control control(settings, fake.engine());
    LineServer server([&](std::string_view line) { return control.handle(line); }, Control::too_long());
    const std::string path = folder / "socket";
    ASSERT_EQ(server.start(path), std::nullopt);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    const std::string request = contract::encode(contract::Request{contract::ApplyRequest{state_of(9)}}) + "\n";
    ASSERT_EQ(send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    std::string line;
    for (char c = 0; read(fd, &c, 1) == 1 && c != '\n';) line += c;
    close(fd);
    const auto response = contract::decode_response(line);
    ASSERT_TRUE(response.ok());
    EXPECT_TRUE(response.value->ok);
    EXPECT_EQ(response.value->generation, 9U);
}

}  // namespace
}  // namespace guideway::control
