// MetalLB's configuration as ours: golden files in the shape of its documented objects; what is written is taken by our own reader of documents'
// resources and by the rules of pools (ipam-rules 1, 2); what cannot be read names file, document and field.
#include "api/cli/metallb/import.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/cli/yaml_text.h"
#include "api/resources/address_pool_codec.h"
#include "controlplane/ipam/pool_set.h"

namespace guideway::cli::metallb {
namespace {

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

struct Imported {
    std::vector<resources::AddressPool> pools;
    std::string yaml, report;
    std::vector<std::string> errors;
    Totals totals;
};

Imported imported(const std::string& text, const std::string& cluster = "") {
    Configuration found;
    read_configuration(text, "input", found);
    Imported out;
    out.pools = pools_of(found, cluster);
    for (const auto& pool : out.pools) out.yaml += (out.yaml.empty() ? "" : "---\n") + yaml_of(wish_of(pool));
    std::ostringstream report;
    print_report(report, found.reports);
    out.report = report.str();
    out.errors = found.errors;
    out.totals = totals_of(found.reports);
    return out;
}

/// An IPAddressPool with this spec.
std::string pool(const std::string& name, const std::string& spec) {
    return "apiVersion: metallb.io/v1beta1\nkind: IPAddressPool\nmetadata: {name: " + name + "}\nspec: " + spec +
           "\n---\n";
}

/// With GUIDEWAY_UPDATE_GOLDEN=1 the file is written instead: look at the difference before it is committed.
void expect_golden(const std::string& actual, const std::string& name) {
    const std::string path = std::string(GOLDEN_FOLDER) + "/" + name;
    if (std::getenv("GUIDEWAY_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << actual;
    EXPECT_EQ(actual, content_of(path)) << name;
}

class Golden : public ::testing::TestWithParam<const char*> {};

TEST_P(Golden, PoolsAndReportAreAsWritten) {
    const std::string input = GetParam();
    const std::string name = input.substr(0, input.find('.'));
    const Imported done = imported(content_of(std::string(GOLDEN_FOLDER) + "/" + input));
    EXPECT_EQ(done.errors, std::vector<std::string>{});
    expect_golden(done.yaml, name + ".pools.yaml");
    expect_golden(done.report, name + ".report.txt");
}

TEST_P(Golden, OurOwnReadersAndRulesTakeWhatIsWritten) {
    const Imported done = imported(content_of(std::string(GOLDEN_FOLDER) + "/" + GetParam()));
    std::vector<ipam::PoolDefinition> definitions;
    std::size_t read = 0;
    read_trees(
        done.yaml,
        [&](const std::string& place, const nlohmann::ordered_json& tree) {
            const auto decoded =
                resources::decode_address_pool(tree.dump(), tree["metadata"]["name"].get<std::string>());
            ASSERT_TRUE(decoded.ok()) << place << decoded.faults[0].field << decoded.faults[0].message;
            EXPECT_EQ(*decoded.value, done.pools.at(read++));
            definitions.push_back({decoded.value->metadata.name, decoded.value->spec.addresses});
        },
        [&](const std::string& place, const std::string& message) { ADD_FAILURE() << place << message; });
    EXPECT_EQ(read, done.pools.size());
    const ipam::ParsedPools parsed = ipam::parse_pools(definitions);
    for (const auto& fault : parsed.faults) ADD_FAILURE() << fault.pool << fault.field << fault.message;
}

INSTANTIATE_TEST_SUITE_P(Files, Golden,
                         ::testing::Values("cluster.input.yaml", "plain.input.yaml", "overlaps.input.json",
                                           "config_map.input.yaml"));

TEST(Import, APlainLayer2ConfigurationIsCarriedOverWhole) {
    const Imported done = imported(content_of(std::string(GOLDEN_FOLDER) + "/plain.input.yaml"));
    EXPECT_EQ(done.totals.carried, 2U) << done.report;
    EXPECT_EQ(done.totals.differs + done.totals.lost, 0U) << done.report;
}

TEST(Import, APasswordIsNotShown) {
    const Imported done = imported(content_of(std::string(GOLDEN_FOLDER) + "/cluster.input.yaml"));
    EXPECT_EQ(done.report.find("do-not-show"), std::string::npos) << done.report;
    EXPECT_NE(done.report.find("/spec/password"), std::string::npos) << "but its field is named";
}

TEST(Import, ServicesOfAllNamespacesMayShareAsInMetalLbRule18) {
    EXPECT_TRUE(imported(pool("a", "{addresses: [192.0.2.0/28]}")).pools.at(0).spec.share_across_namespaces);
}

TEST(Import, WithAClusterThePoolsAreItsAloneAndKeepTheirOrderRule6) {
    const Imported done = imported(pool("a", "{addresses: [192.0.2.0/28]}") +
                                       pool("b", "{addresses: [192.0.2.16/28], serviceAllocation: {namespaces: [x]}}"),
                                   "prod");
    ASSERT_EQ(done.pools.size(), 2U);
    for (const auto& one : done.pools)
        EXPECT_EQ(one.spec.service_allocation->clusters, std::vector<std::string>{"prod"});
    EXPECT_EQ(done.pools[0].spec.service_allocation->priority, 0U) << "after all that had an allocation";
    EXPECT_GT(done.pools[1].spec.service_allocation->priority, 0U);
}

TEST(Import, NamesThatOursMayNotHaveNeverTakeAnothersName) {
    const auto old = [](const std::string& name, int number) {
        return "- {name: \"" + name + "\", protocol: layer2, addresses: [10.0." + std::to_string(number) + ".0/24]}\n";
    };
    const Imported done =
        imported("address-pools:\n" + old("My_Pool", 1) + old("my-pool", 2) + old("MY POOL", 3) + old("__", 4));
    std::vector<std::string> names;
    for (const auto& one : done.pools) names.push_back(one.metadata.name);
    EXPECT_EQ(names, (std::vector<std::string>{"my-pool-2", "my-pool", "my-pool-3", "pool"})) << done.report;
    EXPECT_EQ(done.totals.differs, 3U);
}

TEST(Import, TheSamePoolTwiceIsWrittenOnceAndAnotherOfTheNameIsAnError) {
    const std::string a = pool("a", "{addresses: [192.0.2.0/28]}");
    EXPECT_EQ(imported(a + a).pools.size(), 1U);
    const Imported two = imported(a + pool("a", "{addresses: [192.0.2.16/28]}"));
    EXPECT_TRUE(two.pools.empty());
    EXPECT_NE(two.errors.at(0).find(
                  "input: document 2 (IPAddressPool a): /metadata/name: found \"a\", the name of another pool in "
                  "input: document 1"),
              std::string::npos)
        << two.errors[0];
}

TEST(Import, TerminalsAreNotSpokenTo) {
    const Imported done = imported("apiVersion: v1\nkind: Pod\nmetadata: {name: \"a\\e[2Jb\\nfake: carried over\"}\n");
    EXPECT_EQ(done.report.find('\x1b'), std::string::npos);
    EXPECT_EQ(done.report.find("\nfake"), std::string::npos);
}

struct Bad {
    const char* name;
    std::string text;
    std::string error;  ///< the beginning of the first one
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

class BadInput : public ::testing::TestWithParam<Bad> {};

TEST_P(BadInput, IsRefusedNamingFileDocumentAndFieldAndNothingIsWritten) {
    const Imported done = imported(GetParam().text);
    ASSERT_FALSE(done.errors.empty()) << done.yaml;
    EXPECT_EQ(done.errors[0].substr(0, GetParam().error.size()), GetParam().error);
    EXPECT_TRUE(done.pools.empty());
}

const std::string kOfA = "input: document 1 (IPAddressPool a): ";
INSTANTIATE_TEST_SUITE_P(
    All, BadInput,
    ::testing::Values(
        Bad{"empty", "", "input: found no object of MetalLB's"},
        Bad{"empty list", R"({"apiVersion": "v1", "kind": "List", "items": []})",
            "input: found no object of MetalLB's"},
        Bad{"no YAML", "a: [1\nb: 2", "input: line "}, Bad{"no object", "- 1", "input: document 1: found no object"},
        Bad{"no kind", "a: 1", "input: document 1: /kind: missing"},
        Bad{"one of ours", "kind: AddressPool\nmetadata: {name: a}\nspec: {addresses: [192.0.2.0/28]}",
            "input: document 1 (AddressPool): /apiVersion: missing, allowed metallb.io/v1beta1 (without it this is "
            "one of "
            "Guideway's own"},
        Bad{"no name", "apiVersion: metallb.io/v1beta1\nkind: L2Advertisement\nmetadata: {}",
            "input: document 1 (L2Advertisement ): /metadata/name: missing"},
        Bad{"no addresses", pool("a", "{}"), kOfA + "/spec/addresses: missing"},
        Bad{"no spec", pool("a", "~"), kOfA + "/spec: missing"},
        Bad{"addresses are a text", pool("a", "{addresses: 192.0.2.0/28}"), kOfA + "/spec/addresses: found"},
        Bad{"no address", pool("a", "{addresses: [192.0.2.0/28, lots]}"),
            kOfA + "/spec/addresses/1: found \"lots\", allowed a CIDR"},
        Bad{"backwards", pool("a", "{addresses: [192.0.2.9-192.0.2.1]}"),
            kOfA + "/spec/addresses/0: found \"192.0.2.9-192.0.2.1\", allowed a range whose first address is not above "
                   "its last"},
        Bad{"two families", pool("a", "{addresses: [\"192.0.2.1-2001:db8::1\"]}"), kOfA + "/spec/addresses/0: found"},
        Bad{"mask too long", pool("a", "{addresses: [192.0.2.0/33]}"),
            kOfA + "/spec/addresses/0: found \"192.0.2.0/33\""},
        Bad{"a number for a truth", pool("a", "{addresses: [192.0.2.0/28], autoAssign: 1}"),
            kOfA + "/spec/autoAssign: found 1"},
        Bad{"priority", pool("a", "{addresses: [192.0.2.0/28], serviceAllocation: {priority: high}}"),
            kOfA + "/spec/serviceAllocation/priority: found \"high\", allowed a whole number"},
        Bad{"namespace", pool("a", "{addresses: [192.0.2.0/28], serviceAllocation: {namespaces: [A_B]}}"),
            kOfA + "/spec/serviceAllocation/namespaces/0: found \"A_B\""},
        Bad{"operator",
            pool("a",
                 "{addresses: [192.0.2.0/28], serviceAllocation: {serviceSelectors: [{matchExpressions: "
                 "[{key: a, operator: Is}]}]}}"),
            kOfA + "/spec/serviceAllocation/serviceSelectors/0/matchExpressions/0/operator: found \"Is\""},
        Bad{"inside the ConfigMap",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: {config: \"address-pools: [{name: a, "
            "addresses: 5}]\"}",
            "input: document 1 (pool a of ConfigMap config): /data/config/address-pools/0/addresses: found 5"},
        Bad{"no YAML inside the ConfigMap",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: config}\ndata: {config: \"address-pools: [\"}",
            "input: document 1 (ConfigMap config): /data/config: line 1"}));

}  // namespace
}  // namespace guideway::cli::metallb
