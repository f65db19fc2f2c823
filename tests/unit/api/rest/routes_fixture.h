// RoutesTest: Routes over a FakeAppliance, and short ways to ask them. Thread contract: one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/rest/routes.h"
#include "tests/unit/api/rest/fake_appliance.h"

namespace guideway::rest {

inline constexpr const char* kNode = R"({"spec": {"addresses": ["10.0.2.11"]}})";
inline constexpr const char* kPool = R"({"spec": {"addresses": ["203.0.113.0/28"]}})";
inline constexpr const char* kBalancer = R"({"spec": {"ports": [{"protocol": "TCP", "port": 80, "nodePort": 30080}]}})";

class RoutesTest : public testing::Test {
  protected:
    Request request(const std::string& method, const std::string& target, std::string_view body = "") const {
        Request out;
        out.caller = caller_;
        out.method = method;
        out.target = target;
        out.body = body;
        if (method == "PUT" || (method == "POST" && !body.empty())) out.content_type = "application/json";
        return out;
    }
    Response ask(const std::string& method, const std::string& target, std::string_view body = "",
                 std::optional<std::string> if_match = std::nullopt) {
        Request out = request(method, target, body);
        out.if_match = std::move(if_match);
        return routes_.answer(out);
    }
    nlohmann::json got(const std::string& target) {
        const Response response = ask("GET", target);
        EXPECT_EQ(response.status, 200) << target << ": " << response.body;
        return nlohmann::json::parse(response.body, nullptr, false);
    }
    std::vector<std::string> names(const std::string& target) {
        std::vector<std::string> out;
        const nlohmann::json list = got(target);
        for (const auto& item : list.at("items")) out.push_back(item.at("metadata").at("name"));
        return out;
    }
    static std::string header(const Response& response, const std::string& name) {
        for (const auto& [key, value] : response.headers) {
            if (key == name) return value;
        }
        return "";
    }
    /// The problem, after checking that it is one of that status.
    static nlohmann::json problem(const Response& response, int status) {
        EXPECT_EQ(response.status, status) << response.body;
        EXPECT_EQ(response.content_type, "application/problem+json");
        const nlohmann::json out = nlohmann::json::parse(response.body);
        EXPECT_EQ(out.at("status"), status);
        EXPECT_FALSE(out.at("detail").get<std::string>().empty());
        return out;
    }
    static std::vector<std::string> fields(const nlohmann::json& problem) {
        std::vector<std::string> out;
        for (const auto& fault : problem.at("faults")) out.push_back(fault.at("field"));
        return out;
    }

    Caller caller_{"anonymous", Role::admin, {}, {}};
    FakeAppliance appliance_;
    Routes routes_{appliance_, 2};
};

}  // namespace guideway::rest
