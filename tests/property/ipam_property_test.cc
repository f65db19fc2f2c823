// Random histories of the address management (create, change, delete, pool edits, restarts, failed commits, dry runs) against the
// slow model, and what must hold in every state whatever the model says (ipam-rules 6, 7, 10, 15, 18, 19, 20, 22).
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "controlplane/ipam/allocator.h"
#include "tests/property/ipam_model.h"

namespace guideway::ipam {
namespace {

/// The universe is small, so that pools fill up and wishes clash: 10.0.0.0-10.0.0.11 and 2001:db8::-2001:db8::7.
constexpr unsigned kV4 = 12;
constexpr unsigned kV6 = 8;

IpAddress v4(unsigned i) { return to_address(IpFamily::ipv4, Number{0x0a000000 + i}); }
IpAddress v6(unsigned i) { return to_address(IpFamily::ipv6, to_number(*IpAddress::parse("2001:db8::")) + i); }

/// What the store has: only what the allocator said was changed.
struct Stored {
    std::map<ServiceKey, Allocation> services;
    std::map<IpAddress, Quarantined> quarantine;
};

class History {
  public:
    explicit History(unsigned seed) : random_(seed) {
        allocator_.begin(now_);
        edit_pools();
        commit();
    }

    /// How many changes that was.
    unsigned step() {
        changes_ = 1;
        now_ += one_in(3) ? below(12) : 0;
        if (one_in(20)) {
            restart();
        } else if (one_in(12)) {
            fail();
        } else {
            before_ = allocator_.allocations();
            asked_.clear();
            pools_edited_ = false;
            story_ += "at " + std::to_string(now_) + "\n";
            allocator_.begin(now_);
            model_.set_now(now_);
            // A group of changes that share one commit.
            changes_ = one_in(4) ? 1 + below(3) : 1;
            for (unsigned i = changes_; i > 0; --i) change();
            commit();
            check_causes();
        }
        compare();
        check_invariants();
        return changes_;
    }
    const std::string& story() const { return story_; }
    const Allocator& allocator() const { return allocator_; }

  private:
    unsigned below(unsigned limit) { return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_); }
    bool one_in(unsigned n) { return below(n) == 0; }
    ServiceKey some_service() {
        return {one_in(6) ? "west" : kDefaultCluster, one_in(4) ? "shop" : "default", "s" + std::to_string(below(12))};
    }
    LabelSelector some_selector() {
        LabelSelector selector;
        if (one_in(2)) {
            selector.match_labels["tier"] = one_in(2) ? "edge" : "inner";
        } else {
            selector.match_expressions.push_back(
                {"tier", one_in(2) ? LabelOperator::not_in : LabelOperator::in, {one_in(2) ? "edge" : "inner"}});
        }
        return selector;
    }

    Wish some_wish() {
        Wish wish;
        wish.policy = static_cast<FamilyPolicy>(below(3));
        wish.primary = one_in(2) ? IpFamily::ipv4 : IpFamily::ipv6;
        if (one_in(4)) wish.pool = std::string(1, static_cast<char>('a' + below(4)));
        if (one_in(4)) wish.addresses.push_back(one_in(2) ? v4(below(kV4)) : v6(below(kV6)));
        if (!wish.addresses.empty() && one_in(3)) wish.addresses.push_back(one_in(4) ? v4(below(kV4)) : v6(below(kV6)));
        std::sort(wish.addresses.begin(), wish.addresses.end());
        if (one_in(10)) wish.annotation_addresses.push_back(v4(below(kV4)));
        if (one_in(30)) wish.unreadable_addresses.push_back("10.0.0.x");
        if (one_in(4)) wish.cluster_ips.push_back(one_in(2) ? v4(200) : v6(200));
        if (!wish.cluster_ips.empty() && one_in(2)) wish.cluster_ips.push_back(one_in(2) ? v4(201) : v6(201));
        if (one_in(2)) wish.claim.sharing_key = one_in(2) ? "k" : "l";
        for (unsigned i = 0; i <= below(2); ++i) {
            wish.claim.ports.push_back({contract::Protocol::tcp, static_cast<std::uint16_t>(1 + i * 3 + below(3))});
        }
        if (one_in(2)) wish.service_labels["tier"] = one_in(2) ? "edge" : "inner";
        if (one_in(2)) wish.namespace_labels["tier"] = one_in(2) ? "edge" : "inner";
        return wish;
    }

    void change() {
        const unsigned what = below(14);
        if (what == 0) {
            edit_pools();
        } else if (what < 5) {
            release();
        } else {
            ensure();
        }
        for (const ServiceKey& key : allocator_.take_changed()) staged_[key] = copy_of(key);
    }
    std::optional<Allocation> copy_of(const ServiceKey& key) const {
        const Allocation* allocation = allocator_.find(key);
        return allocation == nullptr ? std::nullopt : std::optional(*allocation);
    }
    void ensure() {
        const ServiceKey key = some_service();
        Wish wish = some_wish();
        // Most changes of a service are small.
        if (const Allocation* now = allocator_.find(key); now != nullptr && one_in(2)) {
            Wish changed = now->wish;
            if (one_in(2)) changed.service_labels = wish.service_labels;
            if (one_in(3)) changed.claim = wish.claim;
            if (one_in(4)) changed.policy = wish.policy;
            wish = changed;
        }
        ++order_;
        story_ += "ensure " + key.to_string() + "\n";
        const std::optional<State> state = one_in(6) ? std::optional(state_of(allocator_)) : std::nullopt;
        const Preview preview = allocator_.preview(key, wish, now_);
        ASSERT_TRUE(!state || *state == state_of(allocator_)) << "a dry run left traces\n" << story_;
        const std::vector<Holding> held =
            allocator_.find(key) ? allocator_.find(key)->holdings : std::vector<Holding>{};
        const Allocation& got = allocator_.ensure(key, wish, order_);
        check_preview(preview, got, held);
        model_.ensure(key, wish, order_);
        asked_.insert(key);
    }
    void release() {
        const ServiceKey key = some_service();
        story_ += "release " + key.to_string() + "\n";
        allocator_.release(key);
        model_.release(key);
        asked_.insert(key);
    }
    void edit_pools() {
        story_ += "pools\n";
        auto [set, model] = some_pools();
        allocator_.set_pools(std::move(set));
        model_.set_pools(std::move(model));
        pools_edited_ = true;
    }
    void commit() {
        for (const ServiceKey& key : allocator_.take_changed()) staged_[key] = copy_of(key);
        for (const ServiceKey& key : allocator_.changed()) {
            if (const auto now = copy_of(key)) {
                stored_.services[key] = *now;
            } else {
                stored_.services.erase(key);
            }
            ASSERT_TRUE(staged_.contains(key) && staged_[key] == copy_of(key)) << "take_changed() missed it\n"
                                                                               << story_;
        }
        staged_.clear();
        for (const QuarantineChange& change : allocator_.quarantine_changes()) {
            if (change.now) {
                stored_.quarantine[change.address] = *change.now;
            } else {
                stored_.quarantine.erase(change.address);
            }
        }
        allocator_.commit();
        ASSERT_EQ(stored_.services, allocator_.allocations()) << "the store was not told all\n" << story_;
        ASSERT_EQ(stored_quarantine(), allocator_.quarantined()) << story_;
    }
    std::vector<Quarantined> stored_quarantine() const {
        std::vector<Quarantined> all;
        for (const auto& [address, one] : stored_.quarantine) all.push_back(one);
        return all;
    }

    struct State {
        std::map<ServiceKey, Allocation> services;
        std::vector<Quarantined> quarantined;
        std::vector<PoolUse> use;
        std::size_t without_address = 0;
        std::vector<ServiceKey> changed;
        std::vector<Event> events;
        bool operator==(const State&) const = default;
    };
    static State state_of(const Allocator& allocator) {
        State state{allocator.allocations(),     allocator.quarantined(), {},
                    allocator.without_address(), allocator.changed(),     allocator.events()};
        for (const Pool& pool : allocator.pools().pools()) state.use.push_back(allocator.use(pool.name));
        return state;
    }
    /// A commit that the store refused: as if nothing had been asked (20).
    void fail() {
        story_ += "failed commit at " + std::to_string(now_) + "\n";
        model_.set_now(now_);
        allocator_.begin(now_);
        for (const QuarantineChange& change : allocator_.quarantine_changes()) stored_.quarantine.erase(change.address);
        allocator_.commit();
        const State before = state_of(allocator_);
        allocator_.begin(now_);
        for (unsigned i = below(3) + 1; i > 0; --i) {
            if (one_in(5)) {
                allocator_.set_pools(some_pools().first);
            } else if (one_in(2)) {
                allocator_.release(some_service());
            } else {
                allocator_.ensure(some_service(), some_wish(), order_ + i);
            }
            if (one_in(3)) allocator_.take_changed();
        }
        allocator_.rollback();
        const State after = state_of(allocator_);
        EXPECT_EQ(after.services, before.services) << story_;
        EXPECT_TRUE(after == before) << story_;
    }
    /// Only what the store has is left; it changes nobody (22).
    void restart() {
        story_ += "restart at " + std::to_string(now_) + "\n";
        model_.set_now(now_);
        const PoolSet pools = allocator_.pools();
        allocator_ = Allocator();
        allocator_.begin(now_);
        allocator_.load(pools, stored_.services, stored_quarantine());
        for (const ServiceKey& key : allocator_.changed()) {
            const auto why = [](const Allocation& one) { return one.refusal ? one.refusal->message : "served"; };
            ADD_FAILURE() << key.to_string() << ": \"" << why(stored_.services.at(key)) << "\" became \""
                          << why(*allocator_.find(key)) << "\" after\n"
                          << story_;
        }
        for (const QuarantineChange& change : allocator_.quarantine_changes()) {
            EXPECT_FALSE(change.now) << "only what is over may change";
            stored_.quarantine.erase(change.address);
        }
        allocator_.commit();
        ASSERT_EQ(stored_quarantine(), allocator_.quarantined()) << story_;
    }
    std::pair<PoolSet, std::vector<ModelPool>> some_pools() {
        // Each address goes to one of four pools or to none, in runs; each run is an entry.
        std::vector<PoolDefinition> definitions;
        std::vector<ModelPool> model;
        for (char name = 'a'; name <= 'd'; ++name) {
            PoolDefinition pool{std::string(1, name), {}, !one_in(4), one_in(3), one_in(4)};
            if (one_in(2)) pool.quarantine_seconds = 1 + below(40);
            if (one_in(3)) {
                pool.service_allocation = ServiceAllocation{below(4), {}, {}, {}, {}};
                if (one_in(3)) pool.service_allocation->namespaces = {one_in(2) ? "shop" : "default"};
                if (one_in(4)) pool.service_allocation->namespace_selectors = {some_selector()};
                if (one_in(3)) pool.service_allocation->service_selectors = {some_selector()};
                if (one_in(6)) pool.service_allocation->clusters = {one_in(2) ? "west" : kDefaultCluster};
            }
            model.push_back({pool.name,
                             {},
                             pool.auto_assign,
                             pool.share_across_namespaces,
                             pool.quarantine_seconds,
                             pool.service_allocation});
            definitions.push_back(std::move(pool));
        }
        const auto cut = [&](unsigned count, auto address) {
            std::vector<std::pair<unsigned, unsigned>> runs;
            for (unsigned first = 0; first < count;) {
                const unsigned last = std::min(count - 1, first + below(5));
                runs.emplace_back(first, last);
                first = last + 1;
            }
            std::shuffle(runs.begin(), runs.end(), random_);  // entries need not be written in ascending order
            for (const auto& [first, last] : runs) {
                if (const unsigned pool = below(6); pool < 4) {
                    definitions[pool].addresses.push_back(address(first).to_string() + "-" + address(last).to_string());
                    for (unsigned i = first; i <= last; ++i) {
                        const bool buggy = address(i).is_v4() && i == 0;  // 10.0.0.0
                        if (!(buggy && definitions[pool].avoid_buggy_ips)) model[pool].addresses.push_back(address(i));
                    }
                }
            }
        };
        cut(kV4, v4);
        cut(kV6, v6);
        std::erase_if(definitions, [](const PoolDefinition& one) { return one.addresses.empty(); });
        std::erase_if(model, [&](const ModelPool& one) {
            return std::none_of(definitions.begin(), definitions.end(),
                                [&](const PoolDefinition& definition) { return definition.name == one.name; });
        });
        ParsedPools parsed = parse_pools(definitions);
        EXPECT_TRUE(parsed.faults.empty());
        return {std::move(parsed.set), std::move(model)};
    }

    void check_preview(const Preview& preview, const Allocation& got, const std::vector<Holding>& held) const {
        ASSERT_EQ(preview.holdings, got.holdings) << story_;
        ASSERT_EQ(preview.refusal, got.refusal) << story_;
        ASSERT_EQ(preview.changes_address, held != got.holdings) << story_;
        const auto& order = allocator_.pools().by_preference();
        ASSERT_EQ(preview.pools.size(), order.size());
        for (std::size_t i = 0; i < order.size(); ++i) {
            const PoolVerdict& verdict = preview.pools[i];
            ASSERT_EQ(verdict.pool, allocator_.pools().pools()[order[i]].name);
            ASSERT_FALSE(verdict.message.empty());
            const bool serves = std::any_of(got.holdings.begin(), got.holdings.end(),
                                            [&](const Holding& holding) { return holding.pool == verdict.pool; });
            ASSERT_EQ(verdict.verdict == Verdict::used, serves) << verdict.message << "\n" << story_;
            // Who is refused is not told that somebody could serve.
            if (got.refusal && got.holdings.empty()) {
                ASSERT_NE(verdict.verdict, Verdict::later) << verdict.pool << ": " << got.refusal->message << "\n"
                                                           << story_;
                ASSERT_NE(verdict.verdict, Verdict::less_suitable) << story_;
                ASSERT_NE(verdict.verdict, Verdict::keeps_its_address) << story_;
            }
        }
    }
    /// No holder moved without cause (7, 10, 19): not asked, not waiting, and its address still in a pool.
    void check_causes() const {
        for (const auto& [key, was] : before_) {
            if (asked_.contains(key) || was.refusal) continue;
            const Allocation* now = allocator_.find(key);
            ASSERT_NE(now, nullptr) << "lost " << key.to_string() << " after\n" << story_;
            for (const Holding& holding : was.holdings) {
                const bool keeps = std::any_of(now->holdings.begin(), now->holdings.end(),
                                               [&](const Holding& other) { return other.address == holding.address; });
                // Of several changes that share the commit only the model knows the order.
                const bool is_gone = pools_edited_ && (changes_ > 1 || !allocator_.pools().place_of(holding.address));
                ASSERT_TRUE(keeps || is_gone)
                    << key.to_string() << " lost " << holding.address.to_string() << " after\n"
                    << story_;
            }
        }
    }
    void compare() const {
        ASSERT_EQ(allocator_.allocations().size(), model_.services.size()) << story_;
        for (const auto& [key, allocation] : allocator_.allocations()) {
            const ModelService& expected = model_.services.at(key);
            std::vector<IpAddress> held;
            for (const Holding& holding : allocation.holdings) held.push_back(holding.address);
            ASSERT_EQ(held, expected.held) << key.to_string() << " after\n" << story_;
            ASSERT_EQ(allocation.refusal.has_value(), expected.waits) << key.to_string() << " after\n" << story_;
            ASSERT_EQ(allocation.claim, expected.claim) << key.to_string() << " after\n" << story_;
        }
        const std::vector<Quarantined> quarantined = allocator_.quarantined();
        ASSERT_EQ(quarantined.size(), model_.quarantine.size()) << story_;
        for (const Quarantined& one : quarantined) {
            const auto at = model_.quarantine.find(one.address);
            ASSERT_TRUE(at != model_.quarantine.end()) << one.address.to_string() << " after\n" << story_;
            ASSERT_EQ(one.freed_at, at->second.freed_at) << story_;
            ASSERT_EQ(one.former, at->second.former) << story_;
        }
    }
    void check_invariants() const {
        std::map<IpAddress, std::vector<std::pair<ServiceKey, const Allocation*>>> users;
        std::map<std::string, std::set<ServiceKey>> services;
        std::size_t without = 0;
        for (const auto& [key, allocation] : allocator_.allocations()) {
            without += allocation.holdings.empty() ? 1 : 0;
            ASSERT_LE(allocation.holdings.size(), 2U);
            ASSERT_TRUE(!allocation.holdings.empty() || allocation.refusal) << "neither served nor told why\n"
                                                                            << story_;
            ASSERT_TRUE(!allocation.refusal || !allocation.refusal->message.empty());
            for (const Holding& holding : allocation.holdings) {
                users[holding.address].emplace_back(key, &allocation);
                const auto place = allocator_.pools().place_of(holding.address);
                ASSERT_TRUE(place) << "holds what no pool has\n" << story_;
                ASSERT_EQ(allocator_.pools().pools()[place->pool].name, holding.pool);
                services[holding.pool].insert(key);
            }
        }
        ASSERT_EQ(allocator_.without_address(), without);
        std::map<std::pair<std::string, IpFamily>, FamilyUse> used;
        for (const auto& [address, sharers] : users) {
            const auto& [first, its] = sharers[0];
            FamilyUse& use = used[{its->holdings[0].address == address ? its->holdings[0].pool : its->holdings[1].pool,
                                   address.family}];
            ++use.allocated;
            use.shared += sharers.size() > 1 ? 1 : 0;
            std::set<PortClaim> ports;
            for (const auto& [key, sharer] : sharers) {
                ASSERT_TRUE(sharers.size() == 1 || !sharer->claim.sharing_key.empty()) << story_;
                ASSERT_EQ(sharer->claim.sharing_key, its->claim.sharing_key) << story_;
                ASSERT_EQ(key.cluster, first.cluster) << "shared across clusters\n" << story_;
                for (const PortClaim& port : sharer->claim.ports) {
                    ASSERT_TRUE(ports.insert(port).second || sharers.size() == 1) << "held twice\n" << story_;
                }
            }
        }
        for (const Quarantined& one : allocator_.quarantined()) {
            ASSERT_FALSE(users.contains(one.address)) << "held and in quarantine\n" << story_;
            const auto place = allocator_.pools().place_of(one.address);
            ASSERT_TRUE(place);
            ++used[{allocator_.pools().pools()[place->pool].name, one.address.family}].quarantined;
        }
        for (const Pool& pool : allocator_.pools().pools()) {
            PoolUse expected;
            expected.services = services[pool.name].size();
            for (const IpFamily family : {IpFamily::ipv4, IpFamily::ipv6}) {
                FamilyUse& use = expected.of(family);
                use = used[{pool.name, family}];
                use.total = pool.capacity(family);
                use.free = use.total - use.allocated - use.quarantined;
            }
            ASSERT_TRUE(allocator_.use(pool.name) == expected) << "leaked or lost in " << pool.name << "\n" << story_;
        }
    }

    std::mt19937 random_;
    Allocator allocator_;
    IpamModel model_;
    Stored stored_;
    std::map<ServiceKey, std::optional<Allocation>> staged_;
    std::map<ServiceKey, Allocation> before_;
    std::set<ServiceKey> asked_;
    bool pools_edited_ = false;
    unsigned changes_ = 0;
    std::uint64_t order_ = 0;
    std::uint64_t now_ = 1000;
    std::string story_;
};

/// 10^5 steps in all; a commit that several changes share is as many steps.
TEST(IpamProperty, RandomHistoriesAgreeWithTheModel) {
    unsigned steps = 0;
    for (unsigned seed = 1; steps < 100'000; ++seed) {
        History history(seed);
        for (int i = 0; i < 200; ++i) {
            steps += history.step();
            if (testing::Test::HasFailure()) FAIL() << "seed " << seed << ", step " << i;
        }
    }
}

TEST(IpamProperty, TheSameHistoryGivesTheSameAddresses) {
    for (unsigned seed = 1; seed <= 10; ++seed) {
        History one(seed);
        History other(seed);
        for (int i = 0; i < 150; ++i) {
            one.step();
            other.step();
            if (testing::Test::HasFailure()) FAIL() << "seed " << seed << ", step " << i;
        }
        ASSERT_EQ(one.story(), other.story());
        ASSERT_EQ(one.allocator().allocations(), other.allocator().allocations());
        ASSERT_EQ(one.allocator().quarantined(), other.allocator().quarantined());
    }
}

}  // namespace
}  // namespace guideway::ipam
