#include "controlplane/health/http_answer.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::health {
namespace {

using Progress = HttpAnswer::Progress;

struct Read {
    Progress progress = Progress::more;
    int status = 0;
    std::string body, error;
};

/// `piece` bytes at a time, then the end where it is not complete before.
Read read(std::string_view text, bool want_body = true, std::size_t piece = 1) {
    HttpAnswer answer(want_body);
    Progress progress = Progress::more;
    while (!text.empty() && progress == Progress::more) {
        progress = answer.feed(text.substr(0, piece));
        text.remove_prefix(std::min(piece, text.size()));
    }
    if (progress == Progress::more) progress = answer.end();
    return {progress, answer.status(), answer.body(), answer.error()};
}

TEST(HttpAnswer, ReadsStatusAndBodyInAnyPieces) {
    struct Row {
        std::string_view text;
        int status;
        std::string_view body;
    };
    const std::vector<Row> rows = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
        {"HTTP/1.1 503 Service Unavailable\r\ncontent-length:  2 \r\n\r\nno and more", 503, "no"},
        {"HTTP/1.0 200 OK\r\n\r\nto the end", 200, "to the end"},
        {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut", 200, "cut"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 200, "abcde"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nab", 200, "ab"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 200, ""},
        {"HTTP/1.1 100 Continue\r\nContent-Length: 7\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", 204,
         ""},
    };
    for (const Row& row : rows) {
        for (const std::size_t piece : {1, 2, 7, 10'000}) {
            const Read got = read(row.text, true, piece);
            EXPECT_EQ(got.progress, Progress::complete) << row.text;
            EXPECT_EQ(got.status, row.status) << row.text;
            EXPECT_EQ(got.body, row.body) << row.text << " in pieces of " << piece;
        }
    }
}

TEST(HttpAnswer, IsCompleteWithTheHeadWhereTheBodyIsNotWanted) {
    HttpAnswer answer(false);
    EXPECT_EQ(answer.feed("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n"), Progress::more);
    EXPECT_EQ(answer.feed("\r\n"), Progress::complete);
    EXPECT_EQ(answer.status(), 200);
}

TEST(HttpAnswer, RefusesWhatIsNoHttpAtItsFirstBytes) {
    HttpAnswer answer(true);
    EXPECT_EQ(answer.feed("SSH-2.0-OpenSSH_9.2\r\n"), Progress::bad);
    EXPECT_EQ(answer.error(), "the answer is no HTTP: \"SSH-2.0-OpenSSH_9.2..\"");
    for (const std::string_view text :
         {"HTTP/1.1 99 Low\r\n\r\n", "HTTP/1.1 600 High\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n",
          "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.x 200 OK\r\n\r\n", "HTTP/2 200\r\n\r\n", "http/1.1 200 OK\r\n\r\n",
          "HTTP/1.1 -20 OK\r\n\r\n", "\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"}) {
        EXPECT_EQ(read(text).progress, Progress::bad) << text;
        EXPECT_FALSE(read(text).error.empty()) << text;
    }
}

TEST(HttpAnswer, RefusesAHeadThatIsCutShort) {
    EXPECT_EQ(read("").error, "the connection was closed without an answer");
    EXPECT_EQ(read("HTTP/1.1 200 OK\r\nServ").error, "the answer's head is cut short: \"HTTP/1.1 200 OK..Serv\"");
}

TEST(HttpAnswer, HeadAndBodyTogetherAreBounded) {
    const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
    const Read body = read(head + std::string(100'000, 'x'), true, 1000);
    EXPECT_EQ(body.progress, Progress::complete) << "the status counts";
    EXPECT_EQ(body.body.size(), HttpAnswer::kMostBytes - head.size());
    const Read fields = read("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x'), true, 1000);
    EXPECT_EQ(fields.progress, Progress::bad);
    EXPECT_EQ(fields.error, "the answer's head has more than 8192 bytes");
}

TEST(HttpAnswer, Rule9ReadsTheNumberOfLocalEndpointsLeniently) {
    EXPECT_EQ(endpoints_of(
                  R"({"service":{"namespace":"default","name":"web"},"localEndpoints":3,"serviceProxyHealthy":true})"),
              3u);
    EXPECT_EQ(endpoints_of(R"({ "localEndpoints" : 0, "new": [1, 2] })"), 0u);
    for (const std::string_view body :
         {"", "ok", "null", "[]", "3", R"({"localEndpoints":-1})", R"({"localEndpoints":"3"})",
          R"({"localEndpoints":1.5})", R"({"localEndpoints":4294967296})", R"({"localEndpoints":3)",
          R"({"service":{"localEndpoints":3}})", "[[[[[[[[[[[[[[[[[[[[[["}) {
        EXPECT_EQ(endpoints_of(body), std::nullopt) << body;
    }
}

TEST(HttpAnswer, WhatIsShownOfAnAnswerIsPrintable) {
    EXPECT_EQ(printable("a\r\nb\x01\"\\\xc3", 20), "a..b....");
    EXPECT_EQ(printable("abcdef", 3), "abc...");
}

}  // namespace
}  // namespace guideway::health
