// trace and capture: filters as they are typed, packets as they are shown and written.
#include "api/cli/tap.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>

#include <gtest/gtest.h>

#include "api/cli/drop_help.h"
#include "api/cli/pcapng.h"
#include "tests/unit/api/cli/cli_fixture.h"

namespace guideway::cli {
namespace {

std::string end_text(std::string_view text) {
    const auto end = parse_tap_end(text);
    if (!end) return "none";
    return (end->prefix ? end->prefix->to_string() : "any") + " " + std::to_string(end->port);
}

TEST(TapEnd, EachForm) {
    EXPECT_EQ(end_text("203.0.113.10:80"), "203.0.113.10/32 80");
    EXPECT_EQ(end_text("203.0.113.10"), "203.0.113.10/32 0");
    EXPECT_EQ(end_text("192.0.2.7/24"), "192.0.2.0/24 0");
    EXPECT_EQ(end_text("192.0.2.0/24:443"), "192.0.2.0/24 443");
    EXPECT_EQ(end_text(":53"), "any 53");
    EXPECT_EQ(end_text("2001:db8::1"), "2001:db8::1/128 0");
    EXPECT_EQ(end_text("2001:db8::/32"), "2001:db8::/32 0");
    EXPECT_EQ(end_text("[2001:db8::1]:80"), "2001:db8::1/128 80");
    EXPECT_EQ(end_text("[2001:db8::/32]:80"), "2001:db8::/32 80");
    EXPECT_EQ(end_text("[2001:db8::1]"), "2001:db8::1/128 0");
}

TEST(TapEnd, WhatIsNone) {
    for (const char* text :
         {"", "web", ":", ":0", ":65536", ":80x", "203.0.113.10:", "203.0.113.10:http", "203.0.113.300", "192.0.2.0/33",
          "[2001:db8::1", "[203.0.113.1]:80", "[]:80", "2001:db8::1]:80", "[2001:db8::1]80"})
        EXPECT_EQ(end_text(text), "none") << text;
}

std::string hex_text(const std::string& bytes) {
    std::string text;
    for (const char byte : bytes) {
        char two[3];
        std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
        text += two;
    }
    return text;
}

TEST(Pcapng, EachBlockByteForByte) {
    EXPECT_EQ(hex_text(pcapng_section("gw 1")),
              "0a0d0d0a"
              "28000000"
              "4d3c2b1a"
              "0100"
              "0000"
              "ffffffffffffffff"
              "0400"
              "0400"
              "67772031"
              "0000"
              "0000"
              "28000000");
    EXPECT_EQ(hex_text(pcapng_interface("a in", 128)),
              "01000000"
              "28000000"
              "0100"
              "0000"
              "80000000"
              "0200"
              "0400"
              "6120696e"
              "0900"
              "0100"
              "09000000"
              "0000"
              "0000"
              "28000000");
    EXPECT_EQ(hex_text(pcapng_packet({1, 0x0102030405060708, 60, "abcde", "ok", true})),
              "06000000"
              "3c000000"
              "01000000"
              "04030201"
              "08070605"
              "05000000"
              "3c000000"
              "6162636465000000"
              "0200"
              "0400"
              "02000000"
              "0100"
              "0200"
              "6f6b0000"
              "0000"
              "0000"
              "3c000000");
}

contract::TapRecord forwarded() {
    contract::TapRecord record;
    record.time_ns = 1'700'000'000'123'456'789;
    record.worker = 1;
    record.verdict = "forwarded";
    record.service = "default/web";
    record.backend = "node-1";
    record.in = {"client0", "TCP 198.51.100.7:40000 > 203.0.113.10:80 SYN", 54, std::string(54, 'i')};
    record.out = {{"node0", "TCP 10.0.2.1:5000 > 10.0.2.11:30080 SYN", 54, std::string(54, 'o')}};
    record.steps = {"Not in this worker's flow table."};
    return record;
}

TEST(Pcapng, APacketIsWrittenAsItCameAndAsItLeft) {
    const std::string about = "forwarded; service default/web, backend node-1; worker 1";
    const auto record = forwarded();
    EXPECT_EQ(pcapng_of(record, {"node0", "client0"}),
              pcapng_packet({2, record.time_ns, 54, record.in.bytes, about, false}) +
                  pcapng_packet({1, record.time_ns, 54, record.out[0].bytes, about, true}));
}

TEST(Pcapng, WhatWasHandedOverIsWrittenOnceAndWhatWaitsHasNotLeft) {
    auto record = forwarded();
    record.verdict = "handed_over";
    EXPECT_EQ(pcapng_of(record, {"node0", "client0"}), "");
    record.verdict = "held";
    record.out[0].port = "";
    const std::string about = "held; service default/web, backend node-1; worker 1";
    EXPECT_EQ(pcapng_of(record, {"node0", "client0"}),
              pcapng_packet({2, record.time_ns, 54, record.in.bytes, about, false}));
}

TEST(Trace, APacketIsShownStageByStage) {
    std::ostringstream out;
    show_traced(out, forwarded());
    EXPECT_EQ(out.str(),
              "22:13:20.123456789 worker 1  in by client0  TCP 198.51.100.7:40000 > 203.0.113.10:80 SYN, 54 bytes\n"
              "    Not in this worker's flow table.\n"
              "    = forwarded\n\n");
}

TEST(Trace, ALossIsShownWithWhatItMeansAndWhatToDo) {
    auto record = forwarded();
    record.verdict = "dropped";
    record.reason = "no_route";
    std::ostringstream out;
    show_traced(out, record);
    const DropHelp* help = drop_help_of("no_route");
    ASSERT_NE(help, nullptr);
    EXPECT_NE(out.str().find("    = dropped as no_route\n      " + help->means + "\n      -> " + help->advice),
              std::string::npos)
        << out.str();
}

TEST(Trace, TheSummarySaysWhatIsMissing) {
    contract::TapAnswer last;
    last.matched = 20;
    EXPECT_EQ(tap_summary(last, 20, "shown"), "20 packets shown of 20 that were looked for.");
    last.over_rate = 5;
    last.lost = 3;
    last.not_looked_at = 2;
    last.ended = "seconds";
    EXPECT_EQ(tap_summary(last, 10, "written to x"),
              "10 packets written to x of 20 that were looked for; 5 came faster than --rate; 2 came faster than a "
              "worker follows; 3 lost, nobody fetched them in time; ended by --seconds.");
}

TEST(Trace, BadFiltersAreRefusedByNameAndReason) {
    const auto refused = [](std::vector<std::string> arguments, const std::string& words) {
        for (const char* command : {"trace", "capture"}) {
            arguments.insert(arguments.begin(), command);
            const Outcome outcome = run_with(arguments);
            arguments.erase(arguments.begin());
            EXPECT_EQ(outcome.code, kUsage) << command;
            EXPECT_NE((outcome.out + outcome.err).find(words), std::string::npos) << outcome.out << outcome.err;
        }
    };
    refused({"--source", "web"}, "--source: found \"web\", allowed ADDRESS");
    refused({"--destination", "203.0.113.1:0"}, "--destination: found \"203.0.113.1:0\"");
    refused({"--source", "192.0.2.1", "--destination", "2001:db8::1"}, "an address of the source's family");
    refused({"--protocol", "icmp", "--destination", ":80"}, "no port together with --protocol icmp");
    refused({"--reason", "no_such"}, "--reason: found \"no_such\"");
    refused({"--protocol", "gre"}, "--protocol");
    refused({"--count", "0"}, "--count");
    refused({"--rate", "50001"}, "--rate");
    refused({"--seconds", "3601"}, "--seconds");
    refused({"--snap", "63"}, "--snap");
}

TEST(Trace, ADataplaneThatIsNotThereIsToldAndLeavesNoFile) {
    const auto file = std::filesystem::temp_directory_path() / ("guideway-tap-test-" + std::to_string(::getpid()));
    for (const auto& arguments : {std::vector<std::string>{"trace", "--socket", "/nowhere/x.sock"},
                                  {"capture", "--socket", "/nowhere/x.sock", "-w", file.string()}}) {
        const Outcome outcome = run_with(arguments);
        EXPECT_EQ(outcome.code, kUnreachable);
        EXPECT_NE(outcome.err.find("is guideway-dataplane running here?"), std::string::npos) << outcome.err;
    }
    EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(Trace, YamlIsNotWhatItSpeaks) {
    const Outcome outcome = run_with({"trace", "-o", "yaml"});
    EXPECT_EQ(outcome.code, kUsage);
    EXPECT_NE(outcome.err.find("table, or json"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace guideway::cli
