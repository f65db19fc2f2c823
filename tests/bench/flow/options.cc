#include "tests/bench/flow/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/bench/flow/plan.h"

namespace guideway::bench {
namespace {

constexpr std::array kCases{"established", "setup", "lifecycle", "flood", "maglev", "apply", "scaling"};

constexpr const char* kHelp =
    R"(flow_bench: what a packet, a connection and a change cost, measured on the real worker between in-process ports.

  flow_bench [options]      everything, under 5 minutes

  --only CASE[,CASE]   established   packets of known connections, both ways, each at random
                       setup         SYN in, SYN-ACK back
                       lifecycle     SYN, SYN-ACK, ACK, request, answer, FIN both ways with their ACKs
                       flood         SYN flood beside honest and established connections
                       maglev        building look-up tables
                       apply         a state of 10k services x 1k nodes, and one node's change in it, under traffic
                       scaling       one worker and two
  --flows N[,N]        connections: 1, 10k, 1M, ...
  --ip 4|6             one family             --proto tcp|udp   one protocol
  --burst N[,N]        packets a poll and port
  --turns N            of which the median is taken (5; quick: 3)
  --quick              shorter turns, fewer sizes
  --core N             core of the worker (default 0; apply and scaling take one more)
  --split              requests at port 0 and replies at port 1 (default: both mixed at both, so that no branch can
                       learn the direction)
  --no-offloads        packets without the flags of a NIC that has checked the checksums
  --stages             cycles by stage, where the worker counts them
  --cpu-time           leave out the time that others had the core (for a shared machine; else it is wall time)
  --json FILE          all rows as a JSON list
  --spoil              damage a packet before the check: shows that a wrong one ends the run with an error
  --verbose            DPDK's messages too

Each figure is the median of several turns; the spread is their lowest and highest. In the same turns and on the same core it
measures floors: the generator alone, a five-tuple swap in place of the worker, one and two random cache lines a packet.
Leave the core alone meanwhile.
)";

[[noreturn]] void refuse(const std::string& message) {
    std::fprintf(stderr, "flow_bench: %s; flow_bench --help explains\n", message.c_str());
    std::exit(2);
}

std::vector<std::string> list_of(std::string_view text) {
    std::vector<std::string> words;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        words.emplace_back(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return words;
}

std::uint32_t number(const std::string& option, std::string text, std::uint64_t least, std::uint64_t most) {
    std::uint64_t scale = 1;
    if (!text.empty() && (text.back() == 'k' || text.back() == 'M')) {
        scale = text.back() == 'k' ? 1000 : 1000000;
        text.pop_back();
    }
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value > most || value * scale > most ||
        value * scale < least) {
        refuse(option + " wants a number from " + std::to_string(least) + " to " + std::to_string(most) + ", not \"" +
               text + "\"");
    }
    return static_cast<std::uint32_t>(value * scale);
}

}  // namespace

bool Options::wants(const std::string& name) const {
    return cases.empty() || std::ranges::find(cases, name) != cases.end();
}

Options parse_options(int count, char** words) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string option = words[i];
        const auto value = [&]() -> std::string {
            if (i + 1 >= count) refuse(option + " wants a value");
            return words[++i];
        };
        if (option == "--help" || option == "-h") {
            std::fputs(kHelp, stdout);
            std::exit(0);
        } else if (option == "--only") {
            for (const std::string& name : list_of(value())) {
                if (std::ranges::find(kCases, name) == kCases.end()) refuse("no case \"" + name + "\"");
                options.cases.push_back(name);
            }
        } else if (option == "--flows") {
            for (const std::string& text : list_of(value())) {
                options.flows.push_back(number(option, text, 1, 100'000'000));
            }
        } else if (option == "--ip") {
            const std::string text = value();
            if (text != "4" && text != "6") refuse("--ip wants 4 or 6, not \"" + text + "\"");
            options.ip = {text == "4" ? 4 : 6};
        } else if (option == "--proto") {
            const std::string text = value();
            if (text != "tcp" && text != "udp") refuse("--proto wants tcp or udp, not \"" + text + "\"");
            options.protocols = {text == "tcp" ? 6 : 17};
        } else if (option == "--burst") {
            for (const std::string& text : list_of(value())) options.bursts.push_back(number(option, text, 1, 64));
        } else if (option == "--core") {
            options.core = number(option, value(), 0, 1023);
        } else if (option == "--turns") {
            options.turns_wanted = number(option, value(), 1, 1000);
        } else if (option == "--json") {
            options.json = value();
        } else if (option == "--quick") {
            options.quick = true;
        } else if (option == "--split") {
            options.split = true;
        } else if (option == "--no-offloads") {
            options.offloads = false;
        } else if (option == "--stages") {
            options.stages = true;
        } else if (option == "--cpu-time") {
            options.cpu_time = true;
        } else if (option == "--spoil") {
            options.spoil = true;
        } else if (option == "--verbose") {
            options.verbose = true;
        } else {
            refuse("no option \"" + option + "\"");
        }
    }
    if (options.ip.empty()) options.ip = {4, 6};
    if (options.protocols.empty()) options.protocols = {6, 17};
    if (options.bursts.empty()) options.bursts = {32, 64};
    return options;
}

std::string short_number(std::uint64_t number) {
    if (number >= 1000000 && number % 1000000 == 0) return std::to_string(number / 1000000) + "M";
    if (number >= 1000 && number % 1000 == 0) return std::to_string(number / 1000) + "k";
    return std::to_string(number);
}

}  // namespace guideway::bench
