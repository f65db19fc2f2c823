// What the benchmark was asked to do.
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace guideway::bench {

struct Options {
    std::vector<std::string> cases;    ///< --only; empty: all
    std::vector<std::uint32_t> flows;  ///< --flows; empty: each case's own
    std::vector<int> ip;               ///< --ip
    std::vector<int> protocols;        ///< --proto, by number
    std::vector<unsigned> bursts;      ///< --burst
    unsigned core = 0;
    unsigned turns_wanted = 0;  ///< --turns; 0: by default
    bool quick = false;
    bool offloads = true;  ///< the generator sets the flags of a NIC that checked the checksums
    bool split = false;    ///< requests at port 0 and replies at port 1, not mixed
    bool stages = false;
    bool cpu_time = false;  ///< not wall time
    bool spoil = false;     ///< damages a packet before the check, which must then fail
    bool verbose = false;
    std::string json;

    unsigned turns() const { return turns_wanted != 0 ? turns_wanted : quick ? 3 : 5; }
    double turn_seconds() const { return quick ? 0.05 : 0.2; }
    double floor_seconds() const { return quick ? 0.02 : 0.05; }
    bool wants(const std::string& name) const;
};

/// Exits with help or a message about what was wrong.
Options parse_options(int count, char** words);

/// "10k", "1M", "12345".
std::string short_number(std::uint64_t number);

}  // namespace guideway::bench
