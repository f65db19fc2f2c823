#include "dataplane/observe/drop_reason.h"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace guideway::observe {
namespace {

std::string read_document() {
    std::ifstream file(GUIDEWAY_SOURCE_ROOT "/docs/drops.md");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(DropReason, EveryReasonHasItsLineInTheDocument) {
    const std::string document = read_document();
    ASSERT_FALSE(document.empty());
    for (const std::string_view name : kDropReasonNames) {
        EXPECT_NE(document.find("\n| `" + std::string(name) + "` | "), std::string::npos) << name;
    }
}

TEST(DropReason, TheDocumentNamesNoReasonThatDoesNotExist) {
    std::istringstream document(read_document());
    const std::set<std::string> names(kDropReasonNames.begin(), kDropReasonNames.end());
    std::string line;
    std::size_t seen = 0;
    while (std::getline(document, line)) {
        if (!line.starts_with("| `")) continue;
        const std::string name = line.substr(3, line.find('`', 3) - 3);
        EXPECT_TRUE(names.contains(name)) << name;
        ++seen;
    }
    EXPECT_EQ(seen, kDropReasonCount);
}

TEST(DropReason, NamesAreSnakeCaseAndTextsAreNotEmpty) {
    for (std::size_t i = 0; i < kDropReasonCount; ++i) {
        EXPECT_EQ(kDropReasonNames[i].find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"),
                  std::string_view::npos);
        EXPECT_FALSE(kDropReasonTexts[i].empty());
    }
}

}  // namespace
}  // namespace guideway::observe
