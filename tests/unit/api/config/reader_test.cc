#include "api/config/reader.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

namespace guideway::config {
namespace {

Document parse(std::string_view text) { return Document::from_text(text, "guideway.cfg"); }

TEST(ConfigReader, ReadsEachTypeOfValue) {
    Document document = parse(R"(
        dataplane = {
          name = "a"; size = 7; big = 70000000000L; hex = 0x10; on = true;
          words = [ "x", "y" ]; cores = ( 1, 2 );
          ports = ( { name = "p0"; }, { name = "p1"; } );
          inner = { depth = 3; };
        };
    )");
    Section section = document.root().required_group("dataplane");
    EXPECT_EQ(section.required_string("name"), "a");
    EXPECT_EQ(section.required_integer("size", 0, 10), 7);
    EXPECT_EQ(section.required_integer("big", 0, 100'000'000'000), 70'000'000'000);
    EXPECT_EQ(section.required_integer("hex", 0, 100), 16);
    EXPECT_TRUE(section.required_boolean("on"));
    EXPECT_EQ(section.strings("words"), (std::vector<std::string>{"x", "y"}));
    EXPECT_EQ(section.integers("cores", 0, 8), (std::vector<std::int64_t>{1, 2}));
    std::vector<Section> ports = section.groups("ports", 1, 8);
    ASSERT_EQ(ports.size(), 2U);
    EXPECT_EQ(ports[1].required_string("name"), "p1");
    EXPECT_EQ(ports[0].required_string("name"), "p0");
    EXPECT_EQ(section.required_group("inner").required_integer("depth", 0, 9), 3);
    document.finish();
    EXPECT_TRUE(document.ok()) << document.report();
}

TEST(ConfigReader, AFaultNamesFileLineFieldFoundAndAllowed) {
    Document document = parse("dataplane = {\n  ports = (\n    { mtu = 1500; },\n    { mtu = 70000; } );\n};\n");
    for (Section& port : document.root().required_group("dataplane").groups("ports")) {
        port.required_integer("mtu", 1280, 9000);
    }
    EXPECT_EQ(document.report(), "guideway.cfg:4: dataplane.ports[1].mtu: found 70000, allowed 1280..9000\n");
}

TEST(ConfigReader, AllFaultsAreCollectedInTheOrderOfTheLines) {
    Document document = parse("a = 1;\nb = \"x\";\nc = [ \"q\", \"\" ];\nd = 1.5;\n");
    Section root = document.root();
    root.optional_boolean("d");
    root.strings("c");
    root.optional_integer("b", 0, 1);
    root.optional_string("a");
    root.required_string("idle", one_of({"busy", "adaptive"}));
    EXPECT_EQ(document.report(),
              "guideway.cfg: idle: missing, allowed \"busy\", \"adaptive\"\n"
              "guideway.cfg:1: a: found 1, allowed a string\n"
              "guideway.cfg:2: b: found \"x\", allowed 0..1\n"
              "guideway.cfg:3: c[1]: found \"\", allowed a string that is not empty\n"
              "guideway.cfg:4: d: found the decimal number 1.500000, allowed true, false\n");
}

TEST(ConfigReader, ARefusedValueYieldsTheFallback) {
    Document document = parse("size = 99; mode = \"odd\"; flag = 3;");
    Section root = document.root();
    EXPECT_EQ(root.integer_or("size", 5, 0, 10), 5);
    EXPECT_EQ(root.required_integer("size", 2, 10), 2);
    EXPECT_EQ(root.string_or("mode", "even", one_of({"even"})), "even");
    EXPECT_TRUE(root.boolean_or("flag", true));
    EXPECT_EQ(document.faults().size(), 4U);
}

TEST(ConfigReader, AnUnknownKeyIsRefusedWithTheNearestKnownOne) {
    Document document = parse("dataplane = {\n  workres = 2;\n  zzz = 1;\n};\ncontrolplane = { };\n");
    Section section = document.root().required_group("dataplane");
    section.integer_or("workers", 1, 1, 64);
    section.string_or("socket", "x");
    document.root().ignore("controlplane");
    document.finish();
    EXPECT_EQ(document.report(),
              "guideway.cfg:2: dataplane.workres: unknown key, did you mean workers?\n"
              "guideway.cfg:3: dataplane.zzz: unknown key, allowed socket, workers\n");
}

TEST(ConfigReader, AnAbsentOptionalGroupAnswersDefaultsWithoutFaults) {
    Document document = parse("");
    Section absent = document.root().optional_group("metrics");
    EXPECT_FALSE(absent.present());
    EXPECT_EQ(absent.required_string("listen"), "");
    EXPECT_EQ(absent.integer_or("port", 9100, 1, 65535), 9100);
    EXPECT_TRUE(absent.groups("x", 1, 2).empty());
    absent.fault("listen", "nothing to say");
    document.finish();
    EXPECT_TRUE(document.ok()) << document.report();
}

TEST(ConfigReader, AMissingRequiredGroupIsOneFaultOnly) {
    Document document = parse("other = 1;");
    Section absent = document.root().required_group("dataplane");
    absent.required_string("a");
    absent.required_integer("b", 0, 1);
    EXPECT_EQ(document.report(), "guideway.cfg: dataplane: missing, allowed a group { ... }\n");
}

TEST(ConfigReader, ASequenceIsHeldToItsCount) {
    Document document = parse("cores = [];\nports = ( { }, { }, { } );\nname = ( );\n");
    Section root = document.root();
    root.integers("cores", 0, 8, 1, 4);
    EXPECT_TRUE(root.groups("ports", 1, 2).empty());
    root.groups("absent", 1, 2);
    root.optional_string("name");
    EXPECT_EQ(document.report(),
              "guideway.cfg: absent: missing, allowed 1..2 of groups { ... }\n"
              "guideway.cfg:1: cores: found 0 elements, allowed 1..4\n"
              "guideway.cfg:2: ports: found 3 elements, allowed 1..2\n"
              "guideway.cfg:3: name: found a list ( ), allowed a string\n");
}

TEST(ConfigReader, CallersAddTheirOwnFaultsOnAKeyOrAnElement) {
    Document document = parse("a = [\n \"x\",\n \"y\" ];\n");
    Section root = document.root();
    root.strings("a");
    root.fault("a", 1, "found \"y\", already used by a[0]");
    root.fault("a", "found two, allowed one");
    root.fault("a", 9, "out of its elements");
    EXPECT_EQ(document.faults().size(), 3U);
    EXPECT_NE(document.report().find(": a[1]: found \"y\", already used by a[0]\n"), std::string::npos);
}

TEST(ConfigReader, ASyntaxErrorIsAFaultWithItsLine) {
    Document document = parse("a = 1;\nb = = 2;\n");
    EXPECT_FALSE(document.root().present());
    EXPECT_EQ(document.report(), "guideway.cfg:2: syntax error\n");
}

TEST(ConfigReader, AKeyGivenTwiceIsRefused) {
    EXPECT_EQ(parse("a = 1;\na = 2;\n").report(), "guideway.cfg:2: duplicate setting name\n");
}

TEST(ConfigReader, IncludeIsRefusedButNotInsideCommentsAndStrings) {
    EXPECT_EQ(parse("a = 1;\n  @include \"/etc/passwd\"\n").report(),
              "guideway.cfg:2: @include is refused: one file holds the whole configuration\n");
    Document document = parse("/*\n@include \"x\"\n*/\n# @include\na = \"\n@include \\\"x\\\"\";\n");
    document.root().ignore("a");
    document.finish();
    EXPECT_TRUE(document.ok()) << document.report();
}

TEST(ConfigReader, AnIntegerTheParserWouldCutIsRefused) {
    for (const char* number : {"70000000000", "2147483648", "-2147483649", "0xFFFFFFFF", "99999999999999999999",
                               "9223372036854775808L", "0x1FFFFFFFFFFFFFFFFL"}) {
        const Document document = parse(std::string("x = 0;\na = ") + number + ";\n");
        ASSERT_EQ(document.faults().size(), 1U) << number;
        EXPECT_EQ(document.faults()[0].line, 2U);
    }
    for (const char* number : {"2147483647", "-2147483648", "0x7FFFFFFF", "70000000000L", "9223372036854775807L"}) {
        Document document = parse(std::string("a = ") + number + ";\n");
        document.root().required_integer("a", std::numeric_limits<std::int64_t>::min(),
                                         std::numeric_limits<std::int64_t>::max());
        EXPECT_TRUE(document.ok()) << number << document.report();
    }
    Document text = parse("a = \"70000000000\"; # 70000000000\n");
    text.root().required_string("a");
    EXPECT_TRUE(text.ok());
}

TEST(ConfigReader, NulBytesAndDeepNestingAreRefused) {
    EXPECT_EQ(parse(std::string("a = 1;\nb = \"x\0y\";\n", 18)).report(), "guideway.cfg:2: a NUL byte\n");
    EXPECT_EQ(parse(std::string("a = 1;\0 b = 2;", 14)).report(), "guideway.cfg:1: a NUL byte\n");
    const std::string deep = "a = " + std::string(100'000, '(') + std::string(100'000, ')') + ";";
    EXPECT_EQ(parse(deep).report(), "guideway.cfg:1: groups and lists nested more than 16 deep\n");
}

TEST(ConfigReader, AFileThatIsTooLongIsRefused) {
    EXPECT_EQ(parse(std::string(kMaxFileBytes + 1, ' ')).report(),
              "guideway.cfg: found more than 1048576 bytes, allowed 1048576\n");
}

TEST(ConfigReader, AFileThatIsNotThereIsAFault) {
    const Document document = Document::from_file("/nowhere/guideway.cfg");
    EXPECT_EQ(document.report(), "/nowhere/guideway.cfg: cannot be opened: No such file or directory\n");
}

TEST(ConfigReader, ADirectoryIsAFault) {
    Document document = Document::from_file("/");
    EXPECT_FALSE(document.ok());
    EXPECT_FALSE(document.root().present());
}

TEST(ConfigReader, AFileIsReadWithItsPathInTheFaults) {
    const std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("guideway-reader-test-" + std::to_string(::getpid()) + ".cfg");
    std::ofstream(path) << "\nsize = 0;\n";
    Document document = Document::from_file(path);
    document.root().required_integer("size", 1, 2);
    std::filesystem::remove(path);
    EXPECT_EQ(document.report(), path.string() + ":2: size: found 0, allowed 1..2\n");
}

TEST(ConfigReader, ControlCharactersAreShownNotPrinted) {
    Document document = parse("a = \"\\x1b[2J\";");
    document.root().required_integer("a", 0, 1);
    EXPECT_EQ(document.report(), "guideway.cfg:1: a: found \"\\x1b[2J\", allowed 0..1\n");
}

}  // namespace
}  // namespace guideway::config
