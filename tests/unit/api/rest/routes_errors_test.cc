// Bad bodies: each is refused by name, with what was found and what is allowed.
#include <string>
#include <vector>

#include "tests/unit/api/rest/routes_fixture.h"

namespace guideway::rest {
namespace {

class RoutesErrorsTest : public RoutesTest {
  protected:
    /// The only fault of the body.
    nlohmann::json fault(const std::string& body) {
        const nlohmann::json refused = problem(ask("PUT", "/v1/nodes/n", body), 400);
        EXPECT_EQ(refused.at("reason"), "InvalidRequest");
        EXPECT_EQ(refused.at("faults").size(), 1U) << refused;
        EXPECT_EQ(ask("GET", "/v1/nodes/n").status, 404) << "nothing was made of it";
        const std::string message = refused.at("faults")[0].at("message");
        EXPECT_NE(message.find("allowed"), std::string::npos) << message;
        return refused.at("faults")[0];
    }
    std::string message(const std::string& body) { return fault(body).at("message"); }
    static bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
};

TEST_F(RoutesErrorsTest, AnUnknownFieldIsNamedWithThoseThereAre) {
    const nlohmann::json one = fault(R"({"spec": {"addresses": ["10.0.2.11"], "wieght": 2}})");
    EXPECT_EQ(one.at("field"), "/spec/wieght");
    EXPECT_EQ(one.at("message"),
              "unknown field, allowed addresses, weight, drain, drainTimeoutSeconds, healthCheckPort, podCidrs");
}

TEST_F(RoutesErrorsTest, ADuplicateKeyIsNamed) {
    const nlohmann::json one = fault(R"({"spec": {"addresses": ["10.0.2.11"], "weight": 1, "weight": 2}})");
    EXPECT_EQ(one.at("field"), "/spec/weight");
    EXPECT_EQ(one.at("message"), "found this key twice, allowed once");
}

TEST_F(RoutesErrorsTest, NotANumberIsNoJson) {
    for (const char* number : {"NaN", "Infinity", "-Infinity", "1e999", "0x10", "01", "+1"}) {
        message(R"({"spec": {"addresses": ["10.0.2.11"], "weight": )" + std::string(number) + "}}");
    }
    EXPECT_TRUE(has(message(R"({"spec": {"weight": NaN}})"), "column"));
}

TEST_F(RoutesErrorsTest, NumbersAreWholeAndInRange) {
    for (const char* number : {"0", "1001", "-1", "1.0", "1e2", "18446744073709551616", "\"1\"", "null", "true"}) {
        const nlohmann::json one =
            fault(R"({"spec": {"addresses": ["10.0.2.11"], "weight": )" + std::string(number) + "}}");
        EXPECT_EQ(one.at("field"), "/spec/weight");
        EXPECT_TRUE(has(one.at("message"), "allowed 1..1000")) << one;
    }
}

TEST_F(RoutesErrorsTest, NestingIsBounded) {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += R"({"a":)";
    const std::string text = message(deep);
    EXPECT_TRUE(has(text, "found nesting deeper than 32 levels, allowed 32")) << text;
}

TEST_F(RoutesErrorsTest, SizeIsBounded) {
    EXPECT_EQ(message(R"({"spec": {}, "x": ")" + std::string(2U << 20, 'x') + "\"}"),
              "found 2097173 bytes, allowed at most 1048576");
}

TEST_F(RoutesErrorsTest, BytesMustBeUtf8) {
    for (const char* bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe2\x82"}) {
        const std::string text = message(R"({"kind": ")" + std::string(bytes) + "\"}");
        EXPECT_TRUE(has(text, "UTF-8")) << text;
    }
}

TEST_F(RoutesErrorsTest, NothingMayFollowTheDocument) {
    for (const char* more : {"x", "{}", ",", "\x01", "]"}) {
        message(R"({"spec": {"addresses": ["10.0.2.11"]}})" + std::string(more));
    }
    EXPECT_EQ(ask("PUT", "/v1/nodes/other", std::string(kNode) + " \r\n\t").status, 201) << "blanks may";
    message("");
}

TEST_F(RoutesErrorsTest, WhatIsNoObjectIsRefused) {
    for (const char* body : {"[]", "1", "\"x\"", "null", "true"}) {
        EXPECT_TRUE(has(message(body), "allowed an object")) << body;
    }
}

TEST_F(RoutesErrorsTest, SeveralFaultsAreToldAtOnceAndNotWithoutEnd) {
    const nlohmann::json refused = problem(
        ask("PUT", "/v1/nodes/n",
            R"({"kind": "Pod", "metadata": {"name": "m"}, "spec": {"addresses": ["x"], "weight": 0, "drain": 1}})"),
        400);
    EXPECT_EQ(fields(refused), (std::vector<std::string>{"/kind", "/metadata/name", "/spec/addresses/0", "/spec/weight",
                                                         "/spec/drain"}));
    EXPECT_TRUE(has(refused.at("detail"), "(and 4 more)"));
    std::string many = R"({"spec": {"addresses": ["10.0.2.11"]})";
    for (int i = 0; i < 1000; ++i) many += ", \"x" + std::to_string(i) + "\": 1";
    EXPECT_EQ(problem(ask("PUT", "/v1/nodes/n", many + "}"), 400).at("faults").size(), 100U);
}

TEST_F(RoutesErrorsTest, ControlCharactersOfABadValueAreNotSentBack) {
    const std::string text = message("{\"kind\": \"\\u001b[31m\\u0000\", \"spec\": {\"addresses\": [\"10.0.2.11\"]}}");
    for (const char c : text) EXPECT_GE(static_cast<unsigned char>(c), 0x20U);
}

}  // namespace
}  // namespace guideway::rest
