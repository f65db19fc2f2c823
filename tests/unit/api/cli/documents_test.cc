#include "api/cli/documents.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/cli/yaml_text.h"
#include "api/resources/load_balancer_codec.h"

namespace guideway::cli {
namespace {

constexpr auto kNode = R"(kind: Node
metadata:
  name: node-1
spec:
  addresses: [10.0.2.11, "fd00:2::11"]
)";

std::vector<std::string> errors_of(const std::string& text) { return read_documents(text, "file").errors; }

TEST(Documents, YamlWithSeveralDocuments) {
    const auto read = read_documents(std::string(kNode) + R"(---
kind: LoadBalancer
metadata: {name: web}
spec:
  ports:
    - {port: 80, nodePort: 30080}
---
)",
                                     "file", {"shop"});
    ASSERT_TRUE(read.errors.empty()) << read.errors[0];
    ASSERT_EQ(read.documents.size(), 2U);
    EXPECT_EQ(std::get<resources::Node>(read.documents[0]).spec.addresses.size(), 2U);
    EXPECT_EQ(std::get<resources::LoadBalancer>(read.documents[1]).key(), "shop/web");
}

TEST(Documents, JsonAndListsAsGetPrintsThem) {
    const auto read = read_documents(R"({"kind": "NodeList", "items": [
        {"kind": "Node", "metadata": {"name": "a"}, "spec": {"addresses": ["10.0.0.1"]}},
        {"kind": "Node", "metadata": {"name": "b"}, "spec": {"addresses": ["10.0.0.2"]}}]})",
                                     "file");
    ASSERT_TRUE(read.errors.empty()) << read.errors[0];
    EXPECT_EQ(read.documents.size(), 2U);
}

TEST(Documents, QuotedScalarsStayTexts) {
    const auto read = read_documents(std::string(kNode) + "  weight: \"5\"\n", "file");
    ASSERT_EQ(read.errors.size(), 1U);
    EXPECT_EQ(read.errors[0], "file: document 1 (Node node-1): /spec/weight: found \"5\", allowed 1..1000");
    EXPECT_TRUE(read.documents.empty());
}

TEST(Documents, NumbersOtherReadersTakeForOctalAreRefused) {
    EXPECT_EQ(errors_of(std::string(kNode) + "  weight: 010\n").size(), 1U);
    EXPECT_TRUE(errors_of(std::string(kNode) + "  weight: 10\n").empty());
}

TEST(Documents, ANameThatReadsAsANumberIsNotCalledMissing) {
    EXPECT_EQ(errors_of("kind: Node\nmetadata: {name: 7}\nspec: {addresses: [10.0.0.1]}\n"),
              std::vector<std::string>{"file: document 1 (Node): /metadata/name: found 7, allowed a text (in quotes "
                                       "where it looks like a number)"});
    EXPECT_TRUE(errors_of("kind: Node\nmetadata: {name: \"7\"}\nspec: {addresses: [10.0.0.1]}\n").empty());
    EXPECT_NE(errors_of("kind: Node\nmetadata: {name: }\nspec: {addresses: [10.0.0.1]}\n").at(0).find("missing"),
              std::string::npos);
}

TEST(Documents, ErrorsNameFileDocumentAndLine) {
    EXPECT_EQ(errors_of(std::string(kNode) + "kind: Node\n"),
              std::vector<std::string>{"file: document 1: line 6: found the key \"kind\" twice, allowed once"});
    EXPECT_NE(errors_of("a: [1\nb: 2").at(0).find("file: line "), std::string::npos);
    EXPECT_EQ(errors_of(""), std::vector<std::string>{"file: found no document"});
    EXPECT_EQ(errors_of("kind: Pod"),
              std::vector<std::string>{
                  "file: document 1 (Pod): /kind: found \"Pod\", allowed LoadBalancer, AddressPool or Node"});
    EXPECT_EQ(errors_of("kind: Node").at(0),
              "file: document 1 (Node): /metadata/name: missing, allowed the object's name");
    EXPECT_EQ(errors_of("- 1").at(0), "file: document 1: found no object with kind, metadata and spec");
}

TEST(Documents, OneFaultyDocumentHoldsBackAll) {
    EXPECT_TRUE(read_documents(std::string(kNode) + "---\nkind: Node\n", "file").documents.empty());
}

TEST(Documents, AliasesCannotGrowWithoutBound) {
    std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
    for (int i = 1; i < 10; ++i) {
        const std::string before = "*a" + std::to_string(i - 1);
        bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
        for (int j = 0; j < 10; ++j) bomb += (j == 0 ? "" : ", ") + before;
        bomb += "]\n";
    }
    EXPECT_NE(errors_of(bomb).at(0).find("more than 100000 values"), std::string::npos);
}

TEST(Documents, ACommaWhereADocumentBeginsDoesNotUseUpTheMemory) {
    // yaml-cpp 0.7 makes one document after the other of it.
    for (const char* text : {",", "kind: Node\n---\n, b", ", a\n", "---\n,"}) {
        const auto errors = errors_of(text);
        ASSERT_EQ(errors.size(), 1U) << text;
        EXPECT_NE(errors[0].find("line "), std::string::npos) << errors[0];
    }
}

TEST(Documents, TagsAreRefused) { EXPECT_EQ(errors_of("kind: !!binary aGVsbG8=").size(), 1U); }

TEST(YamlOf, TextsThatMeanSomethingToYamlAreQuoted) {
    EXPECT_EQ(yaml_of(R"({"a": "x: y # \"z\"\n", "b": "- c", "d": "*e", "f": "null", "g": null, "h": "plain/text-1"})"),
              "a: \"x: y # \\\"z\\\"\\n\"\nb: \"- c\"\nd: \"*e\"\nf: \"null\"\ng: null\nh: plain/text-1\n");
}

// Labels are held to Kubernetes' rules, so that what needs most quoting is above.
TEST(YamlOf, ReadsBackAsTheSameObject) {
    resources::LoadBalancer object;
    object.metadata.namespace_ = "default";
    object.metadata.name = "web";
    object.metadata.labels = {{"a", "true"}, {"b", "12"}, {"c", "0x1f"}, {"d", ""}, {"e", "no"}, {"f", "1e3"}};
    object.spec.ports = {{"http", contract::Protocol::tcp, 80, 30080}};
    const std::string yaml = yaml_of(resources::encode(object));
    EXPECT_NE(yaml.find("resourceVersion: \"0\""), std::string::npos) << yaml;
    const auto read = read_documents(yaml, "file");
    ASSERT_TRUE(read.errors.empty()) << read.errors[0] << yaml;
    EXPECT_EQ(std::get<resources::LoadBalancer>(read.documents.at(0)).spec, object.spec);
    EXPECT_EQ(std::get<resources::LoadBalancer>(read.documents.at(0)).metadata.labels, object.metadata.labels);
}

}  // namespace
}  // namespace guideway::cli
