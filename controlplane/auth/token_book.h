// TokenBook: the bearer tokens that open the REST API: who holds which, until when, and how one is recognised.
//
// Terms. Token: a name with a role (rest::Role), kept in the store as a record of kind "token". Secret: what its holder sends,
// "gw_" + id + "_" + 256 random bits in hexadecimal; a token has up to two valid ones, so that a new one can be handed out
// before the old one ends. Id: the part of a secret that is none; the secret is found by it, so the time of the search says
// nothing about other tokens' secrets. Unsaved use: a last use that the stored record does not show yet.
//
// Stored is the SHA-256 of the whole text. A slow password hash would protect what people make up; 256 random bits cannot be
// guessed from their hash however quick it is, and each request would pay for the slowness.
//
// The book is what is in force. A change is made in three steps, so that nothing opens a door before it is durable:
//     auth::Issued issued = book.create("ci", {rest::Role::viewer, "", {}}, now);   // in the caller's hands only
//     store.commit(put "token" "ci" encode(issued.record));                        // durable
//     book.put_record(issued.record);                                              // from here on it is taken
//     answer(issued.text);                                                         // shown this once, kept nowhere
//
// Worked example: "admin" has the secret gw_a..._1. rotate() -> gw_b..._2; both are valid. rotate() again -> gw_c..._3; b and c
// are valid, a is not. erase_record("admin") -> none is.
//
// Thread contract: any method from any thread; authenticate() does not wait for others of its kind.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/contract/decoded.h"
#include "api/resources/metadata.h"
#include "api/rest/caller.h"

namespace guideway::controlplane::auth {

using Time = std::chrono::system_clock::time_point;
using Sha256 = std::array<std::uint8_t, 32>;
/// Fills the bytes with random ones that nobody can foretell; throws where there are none.
using Random = std::function<void(std::span<std::uint8_t>)>;

/// The kind of the store's records; their key is the token's name.
inline constexpr const char* kTokenKind = "token";
inline constexpr std::size_t kMaxSecrets = 2;
/// A last use is noted to the minute: a request must not cost a write.
inline constexpr std::chrono::seconds kUseGranularity{60};

struct TokenSpec {
    rest::Role role = rest::Role::viewer;
    std::string cluster;             ///< a controller's; empty for the other roles
    std::optional<Time> expires_at;  ///< from then on no secret of it is taken; none: never
    friend bool operator==(const TokenSpec&, const TokenSpec&) = default;
};

struct TokenSecret {
    std::string id;  ///< 12 hexadecimal digits
    Sha256 hash{};   ///< of the whole text
    Time created;
    std::optional<Time> last_used;  ///< to kUseGranularity
    friend bool operator==(const TokenSecret&, const TokenSecret&) = default;
};

struct TokenRecord {
    resources::Metadata metadata;  ///< name, labels, resource_version, ...: whoever stores the record sets them
    TokenSpec spec;
    std::vector<TokenSecret> secrets;  ///< the newest first; at most kMaxSecrets
    friend bool operator==(const TokenRecord&, const TokenRecord&) = default;
};

/// A new secret, and the record that has to be durable before it is taken.
struct Issued {
    TokenRecord record;
    std::string text;  ///< for the holder; in nobody's log and in no record
};

/// The record as the store keeps it (JSON).
std::string encode(const TokenRecord& record);
/// Strict: unknown and missing members, bad digits, roles and times are faults with their place.
contract::Decoded<TokenRecord> decode_token(std::string_view document);

/// What is wrong with the combination of role and cluster; empty: nothing.
std::string fault_of(const TokenSpec& spec);

/// The operating system's.
Random system_random();

class TokenBook {
  public:
    explicit TokenBook(Random random = system_random());

    /// A token with one secret; not in force. `metadata` of the record has the name alone.
    Issued create(const std::string& name, TokenSpec spec, Time now) const;
    /// `record` with a further secret before the newest one so far; older ones are gone. Not in force.
    Issued rotate(TokenRecord record, Time now) const;
    /// The same of the token of this name; nothing where there is none.
    std::optional<Issued> rotate(const std::string& name, Time now) const;

    /// In force from here on, in place of one of the same name. Uses noted since the record was read are kept.
    void put_record(TokenRecord record);
    /// None of its secrets is taken any more. Harmless where there is none.
    void erase_record(const std::string& name);
    /// These and no others (a restored backup).
    void replace_all(std::vector<TokenRecord> records);

    /// With last uses up to now.
    std::optional<TokenRecord> find(const std::string& name) const;
    /// Sorted by name.
    std::vector<TokenRecord> all() const;
    bool empty() const;

    /// Names of the tokens with an unsaved use, for whoever writes them now and then (not more often than every few
    /// minutes): record = find(name); commit; put_record(record).
    std::vector<std::string> unsaved_uses() const;

    enum class Refusal : std::uint8_t { unknown, expired };
    struct Answer {
        std::optional<rest::Caller> caller;  ///< without its peer
        Refusal refusal = Refusal::unknown;
        std::string name;  ///< of the token that expired; empty: unknown
    };
    /// Who sends this text. "Expired" is only said to somebody with the right secret.
    Answer authenticate(std::string_view text, Time now) const;

  private:
    struct Entry;
    struct Place {
        std::shared_ptr<Entry> entry;
        std::size_t secret = 0;
    };
    Issued issue(TokenRecord record, Time now) const;
    void put_locked(TokenRecord record);
    void erase_locked(const std::string& name);

    Random random_;
    mutable std::shared_mutex mutex_;
    std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;  ///< by name
    std::unordered_map<std::string, Place> by_id_;
};

}  // namespace guideway::controlplane::auth
