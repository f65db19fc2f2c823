// Random histories of the address management (create, change, delete, pool edits, restarts, failed commits) against the slow
// model, and what must hold in every state whatever the model says (ipam-rules 7, 15, 18, 20, 22).
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

class History {
  public:
    explicit History(unsigned seed) : random_(seed) { edit_pools(); }

    void step() {
        switch (below(12)) {
            case 0:
                edit_pools();
                break;
            case 1:
                restart();
                break;
            case 2:
            case 3:
            case 4:
                release();
                break;
            case 5:
                fail();
                break;
            default:
                ensure();
                break;
        }
        compare();
        check_invariants();
    }
    const std::string& story() const { return story_; }

  private:
    unsigned below(unsigned limit) { return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_); }
    bool one_in(unsigned n) { return below(n) == 0; }
    ServiceKey some_service() {
        return {kDefaultCluster, one_in(4) ? "shop" : "default", "s" + std::to_string(below(14))};
    }

    Wish some_wish() {
        Wish wish;
        wish.policy = static_cast<FamilyPolicy>(below(3));
        wish.primary = one_in(2) ? IpFamily::ipv4 : IpFamily::ipv6;
        if (one_in(4)) wish.pool = std::string(1, static_cast<char>('a' + below(4)));
        if (one_in(4)) wish.addresses.push_back(one_in(2) ? v4(below(kV4)) : v6(below(kV6)));
        if (!wish.addresses.empty() && one_in(3)) wish.addresses.push_back(one_in(4) ? v4(below(kV4)) : v6(below(kV6)));
        std::sort(wish.addresses.begin(), wish.addresses.end());
        if (one_in(2)) wish.claim.sharing_key = one_in(2) ? "k" : "l";
        for (unsigned i = 0; i <= below(2); ++i) {
            wish.claim.ports.push_back({contract::Protocol::tcp, static_cast<std::uint16_t>(1 + i * 3 + below(3))});
        }
        return wish;
    }

    void ensure() {
        const ServiceKey key = some_service();
        const Wish wish = some_wish();
        ++order_;
        story_ += "ensure " + key.to_string() + "\n";
        allocator_.begin(1);
        allocator_.ensure(key, wish, order_);
        allocator_.commit();
        model_.ensure(key, wish, order_);
    }
    void release() {
        const ServiceKey key = some_service();
        story_ += "release " + key.to_string() + "\n";
        allocator_.begin(1);
        allocator_.release(key);
        allocator_.commit();
        model_.release(key);
    }
    /// A commit that the store refused: as if nothing had been asked (20).
    void fail() {
        story_ += "failed commit\n";
        const auto before = allocator_.allocations();
        allocator_.begin(1);
        if (one_in(3)) {
            allocator_.set_pools(some_pools().first);
        } else if (one_in(2)) {
            allocator_.release(some_service());
        } else {
            allocator_.ensure(some_service(), some_wish(), order_ + 1);
        }
        allocator_.rollback();
        EXPECT_EQ(allocator_.allocations(), before) << story_;
    }
    /// Only what the store has is left; it changes nobody (22).
    void restart() {
        story_ += "restart\n";
        const auto recorded = allocator_.allocations();
        const PoolSet pools = allocator_.pools();
        allocator_ = Allocator();
        allocator_.begin(1);
        allocator_.load(pools, recorded);
        for (const ServiceKey& key : allocator_.changed()) {
            const auto why = [](const Allocation& one) { return one.refusal ? one.refusal->message : "served"; };
            ADD_FAILURE() << key.to_string() << ": \"" << why(recorded.at(key)) << "\" became \""
                          << why(*allocator_.find(key)) << "\" after\n"
                          << story_;
        }
        allocator_.commit();
    }
    std::pair<PoolSet, std::vector<ModelPool>> some_pools() {
        // Each address goes to one of four pools or to none, in runs; each run is an entry.
        std::vector<PoolDefinition> definitions;
        std::vector<ModelPool> model;
        for (char name = 'a'; name <= 'd'; ++name) {
            const bool automatic = !one_in(4);
            const bool avoid = one_in(3);
            definitions.push_back({std::string(1, name), {}, automatic, avoid, false});
            model.push_back({std::string(1, name), {}, automatic});
        }
        const auto cut = [&](unsigned count, auto address) {
            for (unsigned first = 0; first < count;) {
                const unsigned last = std::min(count - 1, first + below(5));
                if (const unsigned pool = below(6); pool < 4) {
                    definitions[pool].addresses.push_back(address(first).to_string() + "-" + address(last).to_string());
                    for (unsigned i = first; i <= last; ++i) {
                        const bool buggy = address(i).is_v4() && i == 0;  // 10.0.0.0
                        if (!(buggy && definitions[pool].avoid_buggy_ips)) model[pool].addresses.push_back(address(i));
                    }
                }
                first = last + 1;
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
    void edit_pools() {
        story_ += "pools\n";
        auto [set, model] = some_pools();
        allocator_.begin(1);
        allocator_.set_pools(std::move(set));
        allocator_.commit();
        model_.set_pools(std::move(model));
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
    }
    void check_invariants() const {
        std::map<IpAddress, std::vector<const Allocation*>> users;
        std::map<std::string, std::set<IpAddress>> used;
        std::size_t without = 0;
        for (const auto& [key, allocation] : allocator_.allocations()) {
            without += allocation.holdings.empty() ? 1 : 0;
            ASSERT_LE(allocation.holdings.size(), 2U);
            ASSERT_TRUE(!allocation.holdings.empty() || allocation.refusal) << "neither served nor told why\n"
                                                                            << story_;
            ASSERT_TRUE(!allocation.refusal || !allocation.refusal->message.empty());
            for (const Holding& holding : allocation.holdings) {
                users[holding.address].push_back(&allocation);
                const auto place = allocator_.pools().place_of(holding.address);
                ASSERT_TRUE(place) << "holds what no pool has\n" << story_;
                ASSERT_EQ(allocator_.pools().pools()[place->pool].name, holding.pool);
                used[holding.pool].insert(holding.address);
            }
        }
        ASSERT_EQ(allocator_.without_address(), without);
        for (const auto& [address, sharers] : users) {
            std::set<PortClaim> ports;
            for (const Allocation* sharer : sharers) {
                ASSERT_TRUE(sharers.size() == 1 || !sharer->claim.sharing_key.empty()) << story_;
                ASSERT_EQ(sharer->claim.sharing_key, sharers[0]->claim.sharing_key) << story_;
                for (const PortClaim& port : sharer->claim.ports) {
                    ASSERT_TRUE(ports.insert(port).second || sharers.size() == 1) << "held twice\n" << story_;
                }
            }
        }
        for (const Pool& pool : allocator_.pools().pools()) {
            const PoolUse use = allocator_.use(pool.name);
            ASSERT_EQ(use.ipv4.allocated + use.ipv6.allocated, used[pool.name].size()) << "leaked or lost\n" << story_;
        }
    }

    std::mt19937 random_;
    Allocator allocator_;
    IpamModel model_;
    std::uint64_t order_ = 0;
    std::string story_;
};

TEST(IpamProperty, RandomHistoriesAgreeWithTheModel) {
    for (unsigned seed = 1; seed <= 150; ++seed) {
        History history(seed);
        for (int i = 0; i < 80; ++i) {
            history.step();
            if (testing::Test::HasFailure()) FAIL() << "seed " << seed << ", step " << i;
        }
    }
}

}  // namespace
}  // namespace guideway::ipam
