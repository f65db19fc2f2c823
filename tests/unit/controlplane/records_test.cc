#include "controlplane/records.h"

#include <gtest/gtest.h>

namespace guideway::controlplane {
namespace {

LoadBalancerRecord sample() {
    LoadBalancerRecord record;
    record.object.metadata.namespace_ = "default";
    record.object.metadata.name = "web";
    record.object.metadata.resource_version = 7;
    record.object.metadata.generation = 2;
    record.object.metadata.creation_timestamp = "2001-09-09T01:46:40Z";
    record.object.spec.ip_family_policy = resources::IpFamilyPolicy::prefer_dual_stack;
    record.object.spec.sharing_key = "new";
    record.object.spec.ports = {{"http", contract::Protocol::tcp, 80, 30080}};
    record.object.status.observed_generation = 2;
    record.object.status.ingress = {{*IpAddress::parse("203.0.113.10"), "a"}, {*IpAddress::parse("2001:db8::1"), "a"}};
    record.object.status.conditions = {{"Allocated", false, "PortConflict", "why", "2001-09-09T01:46:40Z"}};
    record.order = 5;
    record.placed = true;
    record.sharing_key = "old";
    record.ports = {{"dns", contract::Protocol::udp, 53, 30053}, {"", contract::Protocol::sctp, 9, 30009}};
    record.refusal = ipam::Refusal{ipam::Reason::port_conflict, "why"};
    return record;
}

TEST(Records, ComeBackAsTheyWere) {
    for (const bool waits : {true, false}) {
        LoadBalancerRecord record = sample();
        if (!waits) record.refusal.reset();
        const auto decoded = decode_load_balancer_record(encode(record));
        ASSERT_TRUE(std::holds_alternative<LoadBalancerRecord>(decoded)) << std::get<std::string>(decoded);
        EXPECT_EQ(std::get<LoadBalancerRecord>(decoded), record);
    }
}

TEST(Records, OfEarlierVersionsAreReadToo) {
    // Members in the order in which the first version wrote them; an object without what was added since.
    const std::string text =
        R"({"format":1,"object":{"kind":"LoadBalancer","metadata":{"namespace":"default","name":"web","resourceVersion":"7",)"
        R"("generation":2,"creationTimestamp":"2001-09-09T01:46:40Z"},"spec":{"ipFamilyPolicy":"SingleStack","ipFamilies":[],)"
        R"("ports":[{"protocol":"TCP","port":80,"nodePort":30080}]},"status":{"observedGeneration":2,"ingress":)"
        R"([{"ip":"203.0.113.10","pool":"a"}],"conditions":[]}},"order":5,"placed":true,"ports":[{"name":"","node_port":30080,)"
        R"("port":80,"protocol":"TCP"}],"sharing_key":""})";
    const auto decoded = decode_load_balancer_record(text);
    ASSERT_TRUE(std::holds_alternative<LoadBalancerRecord>(decoded)) << std::get<std::string>(decoded);
    const auto& record = std::get<LoadBalancerRecord>(decoded);
    EXPECT_EQ(record.order, 5U);
    EXPECT_EQ(record.object.metadata.cluster, "default");
    EXPECT_EQ(key_of(record.object).to_string(), "default/web");
    EXPECT_EQ(record.object.status.ingress.size(), 1U);
}

TEST(Records, QuarantinedAddressesComeBack) {
    const ipam::Quarantined quarantined{*IpAddress::parse("203.0.113.10"), 1'000'000'000, {"prod", "default", "web"}};
    const auto decoded = decode_quarantined("203.0.113.10", encode(quarantined));
    ASSERT_TRUE(std::holds_alternative<ipam::Quarantined>(decoded));
    EXPECT_EQ(std::get<ipam::Quarantined>(decoded), quarantined);
    EXPECT_TRUE(std::holds_alternative<std::string>(decode_quarantined("nonsense", encode(quarantined))));
    EXPECT_TRUE(std::holds_alternative<std::string>(decode_quarantined("203.0.113.10", "{}")));
}

TEST(Records, BothWaysOfAskingForAnAddressAreToldApart) {
    resources::LoadBalancer object = sample().object;
    object.spec.addresses = {*IpAddress::parse("203.0.113.11")};
    EXPECT_FALSE(ipam::fault_of(wish_of(object)));
    object.spec.load_balancer_ip = IpAddress::parse("203.0.113.12");
    ASSERT_TRUE(ipam::fault_of(wish_of(object)));
    EXPECT_EQ(ipam::fault_of(wish_of(object))->reason, ipam::Reason::conflicting_request);
}

TEST(Records, CarryTheClaimInForceBesideTheWish) {
    const ipam::Allocation allocation = allocation_of(sample());
    EXPECT_EQ(allocation.claim.sharing_key, "old");
    EXPECT_EQ(allocation.wish.claim.sharing_key, "new");
    EXPECT_EQ(allocation.claim.ports.size(), 2U);
    EXPECT_EQ(allocation.holdings.size(), 2U);
}

TEST(Records, DamageIsSaidAndNotGuessedAt) {
    for (const char* text : {"", "{}", "[]", "null", "{\"format\":2}", "{\"format\":1,\"object\":{}}"}) {
        EXPECT_TRUE(std::holds_alternative<std::string>(decode_load_balancer_record(text))) << text;
    }
    std::string text = encode(sample());
    text.replace(text.find("PortConflict", text.find("refusal")), 12, "Unheard-of??");
    EXPECT_TRUE(std::holds_alternative<std::string>(decode_load_balancer_record(text)));
}

}  // namespace
}  // namespace guideway::controlplane
