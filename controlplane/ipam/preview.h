// Preview: the answer of a dry run: what a service would get, and what became of each pool on the way there.
//
// Worked example: pools "a" (full), "b" (auto_assign off), "c" (10.0.3.0/30), a wish without a request.
//   holdings {10.0.3.0 of c}; pools: a full, c used, b not_auto_assigning.
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/ipam/wish.h"

namespace guideway::ipam {

enum class Verdict : std::uint8_t {
    used,               ///< gives what the service gets, or holds what it keeps
    keeps_its_address,  ///< not asked: the service stays where it is (rule 7)
    later,              ///< could serve, but one that is asked before it can too (rule 6)
    less_suitable,  ///< is asked earlier and could serve, but one has both families (13) or an address of its key (16)
    not_requested,  ///< another pool, or an address of another pool, is requested (8, 9)
    not_auto_assigning,  ///< gives only on request (3)
    not_admitted,        ///< its service allocation refuses the service (4)
    family_missing,      ///< has no addresses of a family that is needed
    full,                ///< no address of a family that is needed is free
    refused,             ///< is requested, and the requested address cannot be had, or the request is faulty (9)
};

/// "Used", "KeepsItsAddress", ...
std::string_view to_string(Verdict verdict);

struct PoolVerdict {
    std::string pool;
    Verdict verdict = Verdict::used;
    std::string message;  ///< a sentence
    friend bool operator==(const PoolVerdict&, const PoolVerdict&) = default;
};

struct Preview {
    std::vector<Holding> holdings;   ///< what it would have then
    bool changes_address = false;    ///< other addresses than it has now
    std::optional<Refusal> refusal;  ///< why the wish would not be met; the holdings are then what it keeps
    std::vector<PoolVerdict> pools;  ///< every pool, in the order in which they are asked (PoolSet::by_preference)
    friend bool operator==(const Preview&, const Preview&) = default;
};

}  // namespace guideway::ipam
