// ensure_bench: durable Ensures a second over REST, by clients at once, beside the disk's bare sync rate.
//
//   ensure_bench [--dir FOLDER] [--json FILE] [--quick] [--clients N]
//
// sync     4 KiB written to the end of a file and fdatasync, one after the other: one client alone cannot be faster than that
// status   GET /healthz by 32 clients: what HTTP itself costs here, clients included (they run on the same cores)
// ensure   PUT of load balancers that are new or changed (half and half) by so many clients, each waiting for its answer: the real
//          server, manager, allocator and SQLite store in one process, the answer holding the address. Every one is durable.
// same     the same PUT again: nothing is written
// --clients measures ensure by so many alone, for a profiler. Times are of one request, in milliseconds. FOLDER (default: here) must lie on the disk in question.
#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <spdlog/spdlog.h>

#include "api/rest/server.h"
#include "controlplane/manager.h"
#include "controlplane/store/sqlite_store.h"

namespace guideway::controlplane {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const std::string& why) {
    std::fprintf(stderr, "ensure_bench: %s\n", why.c_str());
    std::exit(1);
}

/// One connection that is kept, and no more HTTP than the server's answers need.
class Connection {
  public:
    explicit Connection(std::uint16_t port) {
        file_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const int on = 1;
        ::setsockopt(file_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (::connect(file_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("cannot connect");
    }
    ~Connection() { ::close(file_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    /// The status code.
    int ask(const std::string& request) {
        for (std::size_t sent = 0; sent < request.size();) {
            const ssize_t count = ::send(file_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
            if (count <= 0) fail("the server closed the connection");
            sent += static_cast<std::size_t>(count);
        }
        std::size_t end = std::string::npos, length = 0;
        while (end == std::string::npos || input_.size() < end + 4 + length) {
            char chunk[16384];
            const ssize_t count = ::recv(file_, chunk, sizeof chunk, 0);
            if (count <= 0) fail("the server closed the connection");
            input_.append(chunk, static_cast<std::size_t>(count));
            if (end != std::string::npos) continue;
            end = input_.find("\r\n\r\n");
            const std::size_t field = input_.find("Content-Length: ");
            if (end != std::string::npos && field < end) length = std::stoul(input_.substr(field + 16));
        }
        const int status = std::stoi(input_.substr(9, 3));
        input_.erase(0, end + 4 + length);
        return status;
    }

  private:
    int file_;
    std::string input_;
};

struct Row {
    std::string name;
    std::size_t clients;
    std::size_t calls;
    double seconds;
    double p50, p99, worst;
    double rate() const { return static_cast<double>(calls) / seconds; }
};

Row row_of(std::string name, std::size_t clients, std::vector<double> times, double seconds) {
    std::sort(times.begin(), times.end());
    const auto at = [&](double part) {
        return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
    };
    return {std::move(name), clients, times.size(), seconds, at(0.5), at(0.99), times.back()};
}

/// `call(client, number)` by so many threads at once.
Row measure(const std::string& name, std::size_t clients, double seconds, std::uint16_t port,
            const std::function<void(Connection&, std::size_t client, std::size_t number)>& call) {
    std::vector<std::vector<double>> times(clients);
    std::vector<std::thread> threads;
    const auto begin = Clock::now();
    const auto end = begin + std::chrono::duration<double>(seconds);
    for (std::size_t client = 0; client < clients; ++client) {
        threads.emplace_back([&, client] {
            Connection connection(port);
            for (std::size_t number = 0; Clock::now() < end; ++number) {
                const auto from = Clock::now();
                call(connection, client, number);
                times[client].push_back(std::chrono::duration<double, std::milli>(Clock::now() - from).count());
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    const double passed = std::chrono::duration<double>(Clock::now() - begin).count();
    std::vector<double> all;
    for (const auto& one : times) all.insert(all.end(), one.begin(), one.end());
    return row_of(name, clients, std::move(all), passed);
}

Row bare_syncs(const fs::path& folder, double seconds) {
    const std::string path = folder / "sync";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) fail("cannot open " + path + ": " + std::strerror(errno));
    const std::string page(4096, 'x');
    std::vector<double> times;
    const auto begin = Clock::now();
    double passed = 0;
    while (passed < seconds) {
        const auto from = Clock::now();
        if (::write(file, page.data(), page.size()) != 4096 || ::fdatasync(file) != 0) fail("cannot write to " + path);
        times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - from).count());
        passed = std::chrono::duration<double>(Clock::now() - begin).count();
    }
    ::close(file);
    return row_of("sync", 1, std::move(times), passed);
}

std::string put(std::size_t client, std::size_t number, unsigned node_port) {
    const std::string body = R"({"spec":{"ports":[{"name":"http","protocol":"TCP","port":80,"nodePort":)" +
                             std::to_string(node_port) + "}]}}";
    return "PUT /v1/load-balancers/bench/s" + std::to_string(client) + "-" + std::to_string(number) +
           " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

int run(int argc, char** argv) {
    std::string json;
    fs::path parent = ".";
    double seconds = 5;
    std::size_t alone = 0;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--quick") {
            seconds = 0.5;
        } else if (word == "--json" && i + 1 < argc) {
            json = argv[++i];
        } else if (word == "--clients" && i + 1 < argc) {
            alone = std::strtoul(argv[++i], nullptr, 10);
        } else if (word == "--dir" && i + 1 < argc) {
            parent = argv[++i];
        } else {
            std::fprintf(stderr, "ensure_bench [--dir FOLDER] [--json FILE] [--quick] [--clients N]\n");
            return 2;
        }
    }
    spdlog::set_level(spdlog::level::err);
    std::string name = (parent / "ensure-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) fail("cannot make a folder in " + parent.string());
    const fs::path folder = name;
    std::vector<Row> rows;
    const double shortly = std::min(seconds, 0.1);
    rows.push_back(bare_syncs(folder, alone ? shortly : seconds));
    {
        Metrics metrics;
        auto opened = store::SqliteStore::open(folder / "store.db");
        if (const auto* error = std::get_if<store::Error>(&opened)) fail(error->message);
        ManagerOptions options;
        options.link.socket = folder / "no-dataplane.sock";
        auto managed = Manager::open(std::move(std::get<0>(opened)), options, metrics);
        if (const auto* error = std::get_if<std::string>(&managed)) fail(*error);
        Manager& manager = *std::get<0>(managed);
        resources::AddressPool pool;
        pool.metadata.name = "bench";
        pool.spec.addresses = {"10.0.0.0/8"};
        if (!manager.ensure(pool, {}).ok()) fail("the pool is refused");
        rest::ServerOptions bounds;
        bounds.requests_per_second = 0;
        bounds.max_requests_per_connection = 1u << 30;
        rest::Server server(manager, bounds, &metrics);
        const rest::Started started = server.start("127.0.0.1", 0);
        if (!started.ok()) fail(started.error);
        if (!alone)
            rows.push_back(
                measure("healthz", 32, seconds, started.port, [](Connection& connection, std::size_t, std::size_t) {
                    if (connection.ask("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n") != 200) fail("healthz");
                }));
        const std::vector<std::size_t> numbers =
            alone ? std::vector<std::size_t>{alone} : std::vector<std::size_t>{1, 8, 32};
        for (const std::size_t clients : numbers) {
            const std::size_t base = 1000 * clients;  // names of its own
            rows.push_back(measure("ensure", clients, seconds, started.port,
                                   [&](Connection& connection, std::size_t client, std::size_t number) {
                                       // Twice each: once made, once changed.
                                       const auto port = static_cast<unsigned>(30080 + number % 2);
                                       const int status = connection.ask(put(base + client, number / 2, port));
                                       if (status != 200 && status != 201) fail("PUT: " + std::to_string(status));
                                   }));
        }
        if (!alone)
            rows.push_back(
                measure("same", 32, seconds, started.port, [](Connection& connection, std::size_t client, std::size_t) {
                    if (connection.ask(put(client, 0, 30080)) / 100 != 2) fail("PUT again");
                }));
        server.stop();
    }
    rows.push_back(
        bare_syncs(folder, alone ? shortly : seconds));  // again: a disk whose rate changed meanwhile is seen
    fs::remove_all(folder);

    std::printf("%-8s %8s %9s %10s %8s %9s %9s %9s\n", "case", "clients", "calls", "calls/s", "of sync", "p50 ms",
                "p99 ms", "worst ms");
    const double floor = std::max(rows.front().rate(), rows.back().rate());
    std::string text;
    for (const Row& row : rows) {
        std::printf("%-8s %8zu %9zu %10.0f %7.2fx %9.2f %9.2f %9.2f\n", row.name.c_str(), row.clients, row.calls,
                    row.rate(), row.rate() / floor, row.p50, row.p99, row.worst);
        char line[384];
        std::snprintf(
            line, sizeof line,
            R"(%s  {"case": "ensure", "what": "%s", "clients": %zu, "calls": %zu, "calls_per_second": %.1f, "of_bare_sync": %.3f, "p50_ms": %.3f, "p99_ms": %.3f, "worst_ms": %.3f})",
            text.empty() ? "" : ",\n", row.name.c_str(), row.clients, row.calls, row.rate(), row.rate() / floor,
            row.p50, row.p99, row.worst);
        text += line;
    }
    if (!json.empty()) std::ofstream(json) << "[\n" << text << "\n]\n";
    return 0;
}

}  // namespace
}  // namespace guideway::controlplane

int main(int argc, char** argv) { return guideway::controlplane::run(argc, argv); }
