// Files the command writes and reads: backups, and objects in an editor.
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "api/cli/output_file.h"
#include "api/resources/address_pool_codec.h"
#include "api/resources/problem_codec.h"
#include "api/resources/status_codec.h"
#include "tests/unit/api/cli/cli_fixture.h"

namespace guideway::cli {
namespace {

namespace fs = std::filesystem;

class Files : public Cli {
  protected:
    void SetUp() override {
        std::string name = fs::temp_directory_path() / "guideway-files-XXXXXX";
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder = name;
    }
    void TearDown() override { fs::remove_all(folder); }
    static std::string text_of(const fs::path& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    std::size_t files() const {
        return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator{}));
    }
    fs::path folder;
};

TEST_F(Files, ABackupIsThereWholeAndForItsOwnerAlone) {
    server.answer("GET /v1/backup", {{200, "one\ntwo\n"}});
    const std::string file = folder / "gw.backup";
    const Outcome done = guideway({"backup", file});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_NE(done.out.find("8 bytes, 2 lines"), std::string::npos) << done.out;
    EXPECT_EQ(text_of(file), "one\ntwo\n");
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    EXPECT_EQ(files(), 1U);
}

TEST_F(Files, ABackupReplacesNothingUnasked) {
    server.answer("GET /v1/backup", {{200, "new\n"}});
    const std::string file = folder / "gw.backup";
    std::ofstream(file) << "old\n";
    const Outcome refused = guideway({"backup", file});
    EXPECT_EQ(refused.code, kFailed);
    EXPECT_NE(refused.err.find("--force"), std::string::npos) << refused.err;
    EXPECT_EQ(text_of(file), "old\n");
    EXPECT_TRUE(server.seen().empty());
    EXPECT_EQ(guideway({"backup", file, "--force"}).code, kOk);
    EXPECT_EQ(text_of(file), "new\n");
}

TEST_F(Files, ABackupThatBreaksOffLeavesNothingAndTheFormerOneAsItWas) {
    server.answer("GET /v1/backup", {{200, "half of it\n", {}, testing::Manner::half}});
    const std::string file = folder / "gw.backup";
    EXPECT_EQ(guideway({"backup", file}).code, kUnreachable);
    EXPECT_EQ(files(), 0U);
    std::ofstream(file) << "old\n";
    EXPECT_EQ(guideway({"backup", file, "--force"}).code, kUnreachable);
    EXPECT_EQ(text_of(file), "old\n");
    EXPECT_EQ(files(), 1U);
}

TEST_F(Files, ABackupToStandardOutputIsTheBytesAlone) {
    server.answer("GET /v1/backup", {{200, "one\n"}});
    EXPECT_EQ(guideway({"backup", "-"}).out, "one\n");
}

TEST_F(Files, AFileThatCameIntoBeingMeanwhileIsNotReplaced) {
    const fs::path path = folder / "x";
    OutputFile out(path, false);
    ASSERT_TRUE(out.write("mine"));
    std::ofstream(path) << "theirs";
    EXPECT_NE(out.finish(), "");
    EXPECT_EQ(text_of(path), "theirs");
}

TEST_F(Files, AFolderThatIsNotThereIsTold) {
    OutputFile out(folder / "none" / "x", false);
    EXPECT_NE(out.error().find("No such file or directory"), std::string::npos) << out.error();
    EXPECT_FALSE(out.write("x"));
    EXPECT_NE(out.finish(), "");
}

class Restore : public Files {
  protected:
    void SetUp() override {
        Files::SetUp();
        file = folder / "gw.backup";
        std::ofstream(file) << "one\ntwo\n";
        resources::SystemStatus status;
        status.load_balancers = 3;
        status.address_pools = 1;
        server.answer("GET /v1/status", {{200, resources::encode(status)}});
        resources::List<resources::AddressPool> list;
        list.metadata.resource_version = 77;
        server.answer("GET /v1/address-pools?limit=1", {{200, resources::encode(list)}});
        status.nodes = 2;
        server.answer("PUT /v1/backup", {{200, resources::encode(status)}});
    }
    std::string file;
};

TEST_F(Restore, ShowsWhatWillBeReplacedAndAsks) {
    const Outcome done = guideway({"restore", file}, "yes\n");
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_NE(done.out.find("3 load balancers, 1 address pool, 0 nodes, and its tokens"), std::string::npos)
        << done.out;
    EXPECT_NE(done.out.find("restored: 3 load balancers, 1 address pool, 2 nodes\n"), std::string::npos) << done.out;
    EXPECT_EQ(server.seen().back().body, "one\ntwo\n");
    EXPECT_EQ(server.seen().back().if_match, "\"77\"") << "what was agreed to is what was shown";
}

TEST_F(Restore, AnythingButYesChangesNothing) {
    for (const char* answer : {"", "y\n", "YES\n", "no\n"}) {
        EXPECT_EQ(guideway({"restore", file}, answer).code, kFailed);
        EXPECT_FALSE(server.seen().back().what.starts_with("PUT")) << answer;
    }
}

TEST_F(Restore, YesInAdvanceDoesNotAsk) {
    EXPECT_EQ(guideway({"restore", "-", "--yes"}, "three\n").code, kOk);
    EXPECT_EQ(server.seen().size(), 1U);
    EXPECT_EQ(server.seen().back().body, "three\n");
    EXPECT_EQ(server.seen().back().if_match, "*");
    EXPECT_EQ(guideway({"restore", "-"}, "three\n").code, kUsage);
}

TEST_F(Restore, AnEmptyOrMissingFileIsNotSent) {
    std::ofstream(file, std::ios::trunc).flush();
    EXPECT_EQ(guideway({"restore", file, "--yes"}).code, kFailed);
    EXPECT_EQ(guideway({"restore", folder / "none", "--yes"}).code, kFailed);
    EXPECT_TRUE(server.seen().empty());
}

class Edit : public Files {
  protected:
    void SetUp() override {
        Files::SetUp();
        server.answer("GET /v1/nodes/node-1", {{200, resources::encode(node(5))}});
        ::setenv("TMPDIR", folder.c_str(), 1);
    }
    void TearDown() override {
        ::unsetenv("VISUAL");
        ::unsetenv("TMPDIR");
        Files::TearDown();
    }
    Outcome edit(const std::string& editor) {
        ::setenv("VISUAL", editor.c_str(), 1);
        return guideway({"edit", "node", "node-1"});
    }
};

TEST_F(Edit, WhatIsSavedIsAppliedIfNobodyElseChangedIt) {
    server.answer("PUT /v1/nodes/node-1", {{200, resources::encode(node(6))}});
    const Outcome done = edit("sed -i 's/weight: 1/weight: 7/'");
    EXPECT_EQ(done.out, "node node-1 edited\n") << done.err;
    EXPECT_EQ(server.seen().back().if_match, "\"5\"");
    EXPECT_NE(server.seen().back().body.find("\"weight\":7"), std::string::npos);
    EXPECT_EQ(files(), 0U);
}

TEST_F(Edit, NoChangeIsNoRequest) {
    EXPECT_NE(edit("true").out.find("edit given up"), std::string::npos);
    EXPECT_NE(edit("truncate -s 0").out.find("edit given up"), std::string::npos);
    EXPECT_EQ(edit("false").code, kFailed);
    for (const auto& request : server.seen()) EXPECT_TRUE(request.what.starts_with("GET"));
}

TEST_F(Edit, FaultsAreShownInTheEditorUntilTheyAreGone) {
    server.answer("PUT /v1/nodes/node-1", {{200, resources::encode(node(6))}});
    // First wrong; then, as the note says why, right.
    const Outcome done = edit(
        "sh -c 'grep -q \"allowed 1..1000\" \"$1\" && sed -i \"s/weight: 0/weight: 7/\" \"$1\" || sed -i \"s/weight: "
        "1$/weight: 0/\" \"$1\"' sh");
    EXPECT_EQ(done.out, "node node-1 edited\n") << done.err;
    EXPECT_NE(server.seen().back().body.find("\"weight\":7"), std::string::npos);
}

TEST_F(Edit, WhatStaysWrongIsKeptInAFile) {
    server.answer("PUT /v1/nodes/node-1",
                  {{409, resources::encode(resources::Problem{409, "AddressInUse", "node-2 has that address", {}})}});
    const Outcome done = edit("sed -i 's/weight: 1$/weight: 7/'");
    EXPECT_EQ(done.code, kFailed);
    EXPECT_NE(done.err.find("your text is in " + folder.string()), std::string::npos) << done.err;
    EXPECT_EQ(files(), 1U);
}

TEST_F(Edit, AChangeBySomebodyElseIsNotOverwritten) {
    server.answer("PUT /v1/nodes/node-1",
                  {{412, R"({"status": 412, "reason": "PreconditionFailed", "detail": "it has changed"})"}});
    const Outcome done = edit("sed -i 's/weight: 1$/weight: 7/'");
    EXPECT_EQ(done.code, kFailed);
    EXPECT_NE(done.err.find("it has changed"), std::string::npos) << done.err;
    EXPECT_EQ(files(), 1U);
}

TEST_F(Edit, ANameCannotBeEdited) {
    const Outcome done = edit("sed -i 's/name: node-1/name: node-9/'");
    EXPECT_EQ(done.code, kFailed) << done.out;
    for (const auto& request : server.seen()) EXPECT_TRUE(request.what.starts_with("GET"));
}

}  // namespace
}  // namespace guideway::cli
