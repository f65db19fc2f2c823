// Options: where the server is, who is asking, and how long to be patient. Thread contract: a plain value.
#pragma once

#include <chrono>
#include <string>

#include "api/client/retry.h"

namespace guideway::client {

struct Options {
    std::string server = "http://127.0.0.1:8870";

    // Who is asking. Never sent in the clear to another machine: that is a problem "InsecureServer".
    std::string token = {};         ///< a bearer token; empty: that of token_file
    std::string token_file = {};    ///< read again whenever it changes; empty: none (what it may be: token_file.h)
    std::string token_origin = {};  ///< where `token` came from, for problems: "the environment variable X"

    // TLS. The server's certificate is verified always. Files are read again whenever they change.
    std::string ca_file = {};             ///< PEM; empty: what the system trusts
    std::string client_certificate = {};  ///< PEM, with the chain; empty: none
    std::string client_key = {};          ///< PEM; empty: it is in client_certificate
    std::string server_name = {};         ///< whom the certificate must name; empty: the URL's host

    Milliseconds connect_timeout{2000};
    Milliseconds read_timeout{70000};  ///< between two bytes; longer than the longest ?timeout=
    Milliseconds deadline{
        0};  ///< of a whole call, tries and pauses included; 0: what the two above and retry_for make of it
    Milliseconds retry_for{0};  ///< how long a call is tried again (retry.h); 0: once
    Milliseconds first_pause{50};
    Milliseconds longest_pause{5000};
    /// A watch on which nothing came for so long, no sign of life either, is taken up anew.
    Milliseconds watch_silence{60000};

    Clock clock = {};
};

}  // namespace guideway::client
