// Objects of the API server read leniently, Services and Nodes chosen, and translated (Kubernetes rules 1, 4, 8, 10, 11, 12).
#include "controlplane/kubernetes/translate.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "controlplane/kubernetes/annotations.h"
#include "controlplane/kubernetes/node_controller.h"
#include "controlplane/kubernetes/selection.h"
#include "controlplane/kubernetes/service_status.h"

namespace guideway::kubernetes {
namespace {

using nlohmann::json;

json service_json() {
    return json::parse(R"({"metadata": {"namespace": "prod", "name": "web", "uid": "u1"},
        "spec": {"type": "LoadBalancer", "clusterIPs": ["10.96.0.7"], "ipFamilies": ["IPv4"],
                 "ports": [{"name": "http", "port": 80, "nodePort": 30080}]}})");
}

Service service_of(const json& object) {
    auto decoded = decode_service(object);
    if (!decoded.ok()) ADD_FAILURE() << decoded.faults.front().field << decoded.faults.front().message;
    return decoded.ok() ? *decoded.value : Service();
}

Slices slices_of(const char* conditions) {
    json object = json::parse(R"({"metadata": {"namespace": "prod", "name": "web-1", "uid": "s1",
        "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4",
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        "endpoints": [{"addresses": ["10.1.0.5"], "nodeName": "n1"}]})");
    object["endpoints"][0]["conditions"] = json::parse(conditions);
    return {std::make_shared<const Slice>(*decode_endpoint_slice(object).value)};
}

TEST(Decode, UnknownFieldsAndNullsArePassedOver) {
    json object = service_json();
    object["spec"]["brandNew"] = {{"a", 1}};
    object["spec"]["loadBalancerIP"] = nullptr;
    EXPECT_EQ(service_of(object), service_of(service_json()));
}

TEST(Decode, AWrongTypeInAFieldThatMattersNamesTheField) {
    json object = service_json();
    object["spec"]["ports"][0]["port"] = "eighty";
    const auto decoded = decode_service(object);
    ASSERT_FALSE(decoded.ok());
    EXPECT_EQ(decoded.faults.front().field, "/spec/ports/0/port");
    EXPECT_FALSE(decode_service(json::array()).ok());
    EXPECT_FALSE(decode_service(nullptr).ok());
}

TEST(Decode, AStatusThatCannotBeReadIsAsIfAbsentForItIsWrittenAnew) {
    json object = service_json();
    object["status"] = {{"loadBalancer", {{"ingress", 7}}}};
    EXPECT_TRUE(service_of(object).ingress.empty());
}

TEST(Selection, Rule1OnlyLoadBalancersOfOurClassAreOurs) {
    Service service = service_of(service_json());
    EXPECT_TRUE(is_ours(service, "", false));
    EXPECT_FALSE(is_ours(service, "a/b", false));
    EXPECT_TRUE(is_ours(service, "a/b", true));
    service.load_balancer_class = "a/b";
    EXPECT_FALSE(is_ours(service, "", false));
    EXPECT_TRUE(is_ours(service, "a/b", false));
    service.meta.deleting = true;
    EXPECT_FALSE(is_ours(service, "a/b", false));
}

TEST(Selection, Rule8ExcludeLabelCountsUnlessItParsesAsFalse) {
    Node node;
    node.meta.name = "n1";
    node.internal_ips = {"10.0.2.11", "10.0.2.12", "fd00:2::11"};
    for (const char* value : {"false", "0", "F"}) {
        node.meta.labels[kExcludeLabel] = value;
        EXPECT_TRUE(std::holds_alternative<resources::Node>(back_end_of(node, {}))) << value;
    }
    for (const char* value : {"true", "", "yes"}) {
        node.meta.labels[kExcludeLabel] = value;
        EXPECT_TRUE(std::holds_alternative<NodeRefusal>(back_end_of(node, {}))) << value;
    }
}

TEST(Selection, Rule8TheAutoscalersTaintDrainsAndOneAddressOfEachFamilyIsTaken) {
    Node node;
    node.meta.name = "n1";
    node.internal_ips = {"10.0.2.11", "10.0.2.12", "fd00:2::11"};
    node.taints = {kAutoscalerTaint};
    const auto made = std::get<resources::Node>(back_end_of(node, {}));
    EXPECT_TRUE(made.spec.drain);
    ASSERT_EQ(made.spec.addresses.size(), 2U);
    EXPECT_EQ(made.spec.addresses[0].to_string(), "10.0.2.11");
    node.taints = {kUnschedulableTaint};
    EXPECT_FALSE(std::get<resources::Node>(back_end_of(node, {})).spec.drain);
    NodeRules rules;
    rules.drain_unschedulable = true;
    EXPECT_TRUE(std::get<resources::Node>(back_end_of(node, rules)).spec.drain);
}

TEST(Translate, Rule11AnInvalidRangeIsAFaultAndFieldBeatsAnnotation) {
    Service service = service_of(service_json());
    service.meta.annotations[kSourceRangesAnnotation] = "10.0.0.0/8, nonsense";
    EXPECT_FALSE(translate(service, {}, {}, {}).ok());
    service.source_ranges = {" 192.0.2.1/24"};
    const Translated good = translate(service, {}, {}, {});
    ASSERT_TRUE(good.ok());
    EXPECT_EQ(good.wanted.spec.source_ranges.at(0).to_string(), "192.0.2.0/24");
}

TEST(Translate, EndpointsAreSentOnlyWhereTheyDecideSomething) {
    Service service = service_of(service_json());
    const Slices slices = slices_of("{}");
    EXPECT_TRUE(translate(service, slices, {}, {}).wanted.spec.endpoint_slices.empty());
    service.external_traffic_policy = "Local";
    const auto local = translate(service, slices, {}, {}).wanted.spec.endpoint_slices;
    ASSERT_EQ(local.size(), 1U);
    EXPECT_EQ(local[0].ports.at(0).target_port, 8080);
}

TEST(Translate, ReadinessNilIsReadyAndTerminatingOnesThatServeAreDraining) {
    Service service = service_of(service_json());
    service.external_traffic_policy = "Local";
    const auto ends = [&](const char* conditions) {
        return translate(service, slices_of(conditions), {}, {}).wanted.spec.endpoint_slices;
    };
    EXPECT_FALSE(ends("{}").at(0).endpoints.at(0).draining);
    EXPECT_TRUE(ends(R"({"ready": false})").empty());
    EXPECT_TRUE(ends(R"({"ready": false, "serving": true, "terminating": true})").at(0).endpoints.at(0).draining);
    EXPECT_TRUE(ends(R"({"ready": false, "serving": false, "terminating": true})").empty());
}

TEST(Translate, Rule12APortThatNothingCanCarryIsToldInTheStatus) {
    Service service = service_of(service_json());
    service.ports[0].node_port = 0;
    const Translated none = translate(service, slices_of("{}"), {}, {});
    ASSERT_EQ(none.port_errors.size(), 1U);
    EXPECT_EQ(none.port_errors[0].error, "NoNodePort");
    EXPECT_TRUE(none.wanted.spec.endpoint_slices.empty());
    TranslateRules rules;
    rules.pods = Pods::routed;
    const Translated routed = translate(service, slices_of("{}"), {}, rules);
    EXPECT_TRUE(routed.port_errors.empty());
    EXPECT_EQ(routed.wanted.spec.endpoint_slices.size(), 1U);
}

TEST(Annotations, OursWinsOverMetalLbsAndSaysSo) {
    std::vector<contract::Fault> faults;
    const Asked asked = read_annotations({{"guideway.io/address-pool", "a"}, {"metallb.io/address-pool", "b"}}, faults);
    EXPECT_TRUE(faults.empty());
    EXPECT_EQ(asked.address_pool, "a");
    EXPECT_EQ(asked.notes.size(), 1U);
    read_annotations({{"metallb.io/address-pool", "a"}, {"metallb.universe.tf/address-pool", "b"}}, faults);
    EXPECT_EQ(faults.size(), 1U);
}

TEST(Annotations, DurationsAreOfHoursMinutesSecondsOrBareSeconds) {
    EXPECT_EQ(parse_duration("30m"), 1800U);
    EXPECT_EQ(parse_duration("1h30m5s"), 5405U);
    EXPECT_EQ(parse_duration("3600"), 3600U);
    for (const char* text : {"", "0", "1h30", "-5s", "5d", "604801", "99999999999"}) {
        EXPECT_EQ(parse_duration(text), std::nullopt) << text;
    }
}

TEST(Annotations, SilenceAndLimitsAreThoseOfTheLoadBalancer) {
    json object = service_json();
    object["metadata"]["annotations"] = {{"guideway.io/silent", " true "},
                                         {"guideway.io/limit-new-connections", "1000"},
                                         {"guideway.io/limit-new-connections-per-source", "50"},
                                         {"guideway.io/limit-packets", "100000000"}};
    std::vector<contract::Fault> faults;
    const Asked asked = read_annotations(service_of(object).meta.annotations, faults);
    EXPECT_TRUE(faults.empty());
    EXPECT_TRUE(asked.silent);
    EXPECT_EQ(asked.limits, (resources::Limits{1000, 50, 100'000'000}));
    for (const char* bad : {"0", "-1", "1k", "", "100000001", "99999999999"}) {
        faults.clear();
        EXPECT_EQ(read_annotations({{"guideway.io/limit-packets", bad}}, faults).limits, resources::Limits{});
        ASSERT_EQ(faults.size(), 1U) << bad;
        EXPECT_EQ(faults[0].field, "guideway.io/limit-packets");
    }
    faults.clear();
    EXPECT_FALSE(read_annotations({{"guideway.io/silent", "yes"}}, faults).silent);
    EXPECT_EQ(faults.size(), 1U);
}

TEST(Nodes, ADrainOfTheClusterEndsWithItsTaintAndOneOfAnOperatorStays) {
    resources::Node wanted;
    wanted.metadata.name = "n1";
    wanted.metadata.uid = "u1";
    wanted.spec.addresses = {*IpAddress::parse("10.0.2.11")};
    resources::Node tainted = wanted;
    tainted.spec.drain = true;
    const resources::Node by_cluster = with_drains(tainted, nullptr);
    EXPECT_TRUE(by_cluster.spec.drain);
    EXPECT_FALSE(with_drains(wanted, &by_cluster).spec.drain) << "the taint went";
    EXPECT_TRUE(with_drains(wanted, &by_cluster).metadata.labels.empty());
    resources::Node by_operator = wanted;
    by_operator.spec.drain = true;
    by_operator.spec.drain_timeout_seconds = 900;
    EXPECT_EQ(with_drains(wanted, &by_operator).spec, by_operator.spec);
    by_operator.metadata.uid = "u0";
    EXPECT_FALSE(with_drains(wanted, &by_operator).spec.drain) << "another machine of that name";
}

TEST(ServiceStatus, Rule4ItIsPatchedOnlyWhereItDiffers) {
    Service service = service_of(service_json());
    resources::LoadBalancer object;
    object.spec.ports = {{"http", contract::Protocol::tcp, 80, 30080}};
    object.status.ingress = {{*IpAddress::parse("192.0.2.10"), "a"}};
    const DesiredStatus desired = desired_status(object, {});
    const auto patch = status_patch(service, desired, "2026-01-01T00:00:00Z");
    ASSERT_TRUE(patch.has_value());
    EXPECT_EQ((*patch)["status"]["loadBalancer"]["ingress"][0]["ipMode"], "Proxy");
    service.ingress = desired.ingress;
    EXPECT_FALSE(status_patch(service, desired, "").has_value());
    const DesiredStatus failing = desired_status(object, {{contract::Protocol::tcp, 80, "NoNodePort", "none"}});
    const auto told = status_patch(service, failing, "2026-01-01T00:00:00Z");
    ASSERT_TRUE(told.has_value());
    EXPECT_EQ((*told)["status"]["loadBalancer"]["ingress"][0]["ports"][0]["error"], "NoNodePort");
    EXPECT_EQ((*told)["status"]["conditions"][0]["status"], "True");
}

}  // namespace
}  // namespace guideway::kubernetes
