#include "controlplane/auth/token_book.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <stdexcept>
#include <utility>

namespace guideway::controlplane::auth {
namespace {

constexpr std::string_view kPrefix = "gw_";
constexpr std::size_t kIdBytes = 6;
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kIdDigits = 2 * kIdBytes;
constexpr std::size_t kTextBytes = kPrefix.size() + kIdDigits + 1 + 2 * kSecretBytes;

std::string hexadecimal(std::span<const std::uint8_t> bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 0xf];
    }
    return text;
}

Sha256 hash_of(std::string_view text) {
    Sha256 hash;
    ::SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data());
    return hash;
}

/// The id in a text of the right form, else nothing.
std::string_view id_of(std::string_view text) {
    if (text.size() != kTextBytes || !text.starts_with(kPrefix) || text[kPrefix.size() + kIdDigits] != '_') return {};
    return text.substr(kPrefix.size(), kIdDigits);
}

std::int64_t seconds_of(Time time) {
    return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

constexpr std::int64_t kNever = 0;

}  // namespace

Random system_random() {
    return [](std::span<std::uint8_t> bytes) {
        if (::RAND_priv_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
            throw std::runtime_error("the operating system has no random numbers");
        }
    };
}

std::string fault_of(const TokenSpec& spec) {
    const bool controller = spec.role == rest::Role::controller;
    if (controller && spec.cluster.empty()) return "a controller needs the cluster it may change";
    if (!controller && !spec.cluster.empty()) return "only a controller has a cluster";
    return {};
}

/// A record in force, and its uses since. The record does not change: another one takes its place.
struct TokenBook::Entry {
    TokenRecord record;
    std::array<std::atomic<std::int64_t>, kMaxSecrets> used{};  ///< Unix seconds; kNever

    TokenRecord with_uses() const {
        TokenRecord now = record;
        for (std::size_t i = 0; i < now.secrets.size(); ++i) {
            const std::int64_t at = used[i].load(std::memory_order_relaxed);
            if (at != kNever) now.secrets[i].last_used = Time(std::chrono::seconds(at));
        }
        return now;
    }
};

TokenBook::TokenBook(Random random) : random_(std::move(random)) {}

Issued TokenBook::issue(TokenRecord record, Time now) const {
    std::array<std::uint8_t, kSecretBytes> secret{};
    std::array<std::uint8_t, kIdBytes> id{};
    TokenSecret made;
    const auto taken = [&] {
        const std::shared_lock lock(mutex_);
        return by_id_.contains(made.id);
    };
    do {
        random_(id);
        made.id = hexadecimal(id);
    } while (taken());
    random_(secret);
    Issued issued;
    issued.text = std::string(kPrefix) + made.id + "_" + hexadecimal(secret);
    ::OPENSSL_cleanse(secret.data(), secret.size());
    made.hash = hash_of(issued.text);
    // What the record's times say survives being written: whole seconds.
    made.created = std::chrono::time_point_cast<std::chrono::seconds>(now);
    record.secrets.insert(record.secrets.begin(), std::move(made));
    if (record.secrets.size() > kMaxSecrets) record.secrets.resize(kMaxSecrets);
    issued.record = std::move(record);
    return issued;
}

Issued TokenBook::create(const std::string& name, TokenSpec spec, Time now) const {
    TokenRecord record;
    record.metadata.name = name;
    record.spec = std::move(spec);
    return issue(std::move(record), now);
}

Issued TokenBook::rotate(TokenRecord record, Time now) const { return issue(std::move(record), now); }

std::optional<Issued> TokenBook::rotate(const std::string& name, Time now) const {
    std::optional<TokenRecord> record = find(name);
    if (!record) return std::nullopt;
    return issue(*std::move(record), now);
}

void TokenBook::erase_locked(const std::string& name) {
    const auto found = entries_.find(name);
    if (found == entries_.end()) return;
    for (const TokenSecret& secret : found->second->record.secrets) {
        const auto place = by_id_.find(secret.id);
        if (place != by_id_.end() && place->second.entry == found->second) by_id_.erase(place);
    }
    entries_.erase(found);
}

void TokenBook::put_locked(TokenRecord record) {
    const auto entry = std::make_shared<Entry>();
    if (record.secrets.size() > kMaxSecrets) record.secrets.resize(kMaxSecrets);
    const auto before = entries_.find(record.metadata.name);
    for (std::size_t i = 0; i < record.secrets.size(); ++i) {
        const TokenSecret& secret = record.secrets[i];
        std::int64_t used = secret.last_used ? seconds_of(*secret.last_used) : kNever;
        if (before != entries_.end()) {
            const Entry& old = *before->second;
            for (std::size_t j = 0; j < old.record.secrets.size(); ++j) {
                if (old.record.secrets[j].id == secret.id) used = std::max(used, old.used[j].load());
            }
        }
        entry->used[i] = used;
    }
    erase_locked(record.metadata.name);
    entry->record = std::move(record);
    for (std::size_t i = 0; i < entry->record.secrets.size(); ++i) {
        by_id_[entry->record.secrets[i].id] = Place{entry, i};
    }
    entries_[entry->record.metadata.name] = entry;
}

void TokenBook::put_record(TokenRecord record) {
    const std::unique_lock lock(mutex_);
    put_locked(std::move(record));
}

void TokenBook::erase_record(const std::string& name) {
    const std::unique_lock lock(mutex_);
    erase_locked(name);
}

void TokenBook::replace_all(std::vector<TokenRecord> records) {
    const std::unique_lock lock(mutex_);
    entries_.clear();
    by_id_.clear();
    for (TokenRecord& record : records) put_locked(std::move(record));
}

std::optional<TokenRecord> TokenBook::find(const std::string& name) const {
    const std::shared_lock lock(mutex_);
    const auto found = entries_.find(name);
    if (found == entries_.end()) return std::nullopt;
    return found->second->with_uses();
}

std::vector<TokenRecord> TokenBook::all() const {
    std::vector<TokenRecord> records;
    {
        const std::shared_lock lock(mutex_);
        for (const auto& [name, entry] : entries_) records.push_back(entry->with_uses());
    }
    std::sort(records.begin(), records.end(),
              [](const TokenRecord& a, const TokenRecord& b) { return a.metadata.name < b.metadata.name; });
    return records;
}

bool TokenBook::empty() const {
    const std::shared_lock lock(mutex_);
    return entries_.empty();
}

std::vector<std::string> TokenBook::unsaved_uses() const {
    std::vector<std::string> names;
    {
        const std::shared_lock lock(mutex_);
        for (const auto& [name, entry] : entries_) {
            if (entry->with_uses() != entry->record) names.push_back(name);
        }
    }
    std::sort(names.begin(), names.end());
    return names;
}

TokenBook::Answer TokenBook::authenticate(std::string_view text, Time now) const {
    // The same work for whatever is sent: one hash, one search by what is no secret, one comparison.
    static constexpr Sha256 kNobody{};
    const Sha256 hash = hash_of(text);
    const std::string id(id_of(text));
    const std::shared_lock lock(mutex_);
    const auto found = by_id_.find(id);
    const bool known = found != by_id_.end();
    const Sha256& wanted = known ? found->second.entry->record.secrets[found->second.secret].hash : kNobody;
    const bool same = ::CRYPTO_memcmp(hash.data(), wanted.data(), hash.size()) == 0;
    if (!known || !same) return {std::nullopt, Refusal::unknown, {}};
    Entry& entry = *found->second.entry;
    const TokenRecord& record = entry.record;
    if (record.spec.expires_at && now >= *record.spec.expires_at) {
        return {std::nullopt, Refusal::expired, record.metadata.name};
    }
    std::atomic<std::int64_t>& used = entry.used[found->second.secret];
    if (const std::int64_t at = seconds_of(now); at >= used.load(std::memory_order_relaxed) + kUseGranularity.count()) {
        used.store(at, std::memory_order_relaxed);
    }
    return {rest::Caller{record.metadata.name, record.spec.role, record.spec.cluster, {}}, Refusal::unknown, {}};
}

}  // namespace guideway::controlplane::auth
