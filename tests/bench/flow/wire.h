// Wire: everything the benchmark does to frames of one family and protocol, burst by burst.
//
// Terms:
//   step  one packet to be sent by the plan's clients or nodes: which connection, which direction, TCP flags. Always marked.
//   seen  what stands in a frame that came out.
//
// Example:  const Wire& wire = wire_of(4, 6);  wire.write(kClientPort, steps, mbufs, 32, true);
// Thread contract: const; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "tests/bench/flow/frame.h"
#include "tests/bench/flow/ports.h"

namespace guideway::bench {

inline constexpr std::uint16_t kMostBurst = 64;

struct Step {
    std::uint32_t client_low = 0;
    std::uint32_t mark = 0;
    std::uint16_t client_port_be = 0;
    Connection connection;  ///< of replies
    Direction direction = kRequest;
    std::uint8_t flags = flag::kAck;
};

struct Seen {
    std::uint32_t mark;
    std::uint32_t source_low, destination_low;
    std::uint16_t source_port_be, destination_port_be;
    std::uint8_t flags;
    /// Of a packet that left towards a node.
    Connection connection() const { return {source_port_be, snat_of(source_low), backend_of(destination_low)}; }
};

/// Packets of connections chosen uniformly at random, in either direction.
class RandomSource : public Source {
  public:
    bool marked = false;  ///< with the record's position as mark: for the check
    std::uint64_t given = 0;
};

/// A connection as the generator picks it.
struct Record {
    std::uint32_t index = 0;  ///< of the client, see plan.h
    Connection connection;
};
static_assert(sizeof(Record) == 8);

/// Records read together. They lie in shuffled order (traffic.h), so a block at random is that many connections at random, and the
/// generator misses the cache four times a block, not 32 times: those misses would be charged to the worker.
inline constexpr std::uint32_t kBlock = 32;

struct RandomTraffic {
    std::span<const Record> records;  ///< shuffled; a multiple of kBlock
    std::uint16_t queue = 0;
    bool offloads = true;
    bool split = false;
};

class Wire {
  public:
    virtual ~Wire() = default;
    virtual std::uint32_t frame_length() const = 0;
    virtual std::unique_ptr<RandomSource> random_source(Port port, const RandomTraffic& traffic) const = 0;
    /// Takes `count` buffers and writes the steps into them; false where there are none.
    virtual bool write(Port port, std::uint16_t queue, const Step* steps, rte_mbuf** mbufs,
                       std::uint16_t count) const = 0;
    virtual void read(rte_mbuf* const* mbufs, std::uint16_t count, Seen* seen) const = 0;
    /// Addresses and ports exchanged in place, as testpmd's 5tswap does.
    virtual void swap(rte_mbuf* const* mbufs, std::uint16_t count) const = 0;
    /// What is wrong with a marked frame that came out at `port`; empty if every byte is as it must be. All of it is made anew from
    /// the plan; checksums are summed up whole.
    virtual std::string check(Port port, std::span<const std::uint8_t> frame, std::uint32_t index,
                              Connection connection, Direction direction) const = 0;
};

const Wire& wire_of(int ip, int protocol);

}  // namespace guideway::bench
