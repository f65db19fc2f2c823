// backup and restore.
#include <algorithm>
#include <cstdint>
#include <string>

#include "api/cli/commands.h"
#include "api/cli/output_file.h"
#include "api/cli/show.h"
#include "api/cli/text.h"
#include "api/resources/status_codec.h"

namespace guideway::cli {

namespace {

std::string contents_text(const resources::SystemStatus& status) {
    const auto many = [](std::uint64_t count, const char* one) {
        return count_text(count) + " " + one + (count == 1 ? "" : "s");
    };
    return many(status.load_balancers, "load balancer") + ", " + many(status.address_pools, "address pool") + ", " +
           many(status.nodes, "node");
}

}  // namespace

int backup(Session& session) {
    const std::string& file = session.options.file;
    std::uint64_t lines = 0;
    const auto count = [&](std::string_view bytes) {
        lines += static_cast<std::uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    };
    if (file == "-") {
        const auto bytes = session.client.backup([&](std::string_view piece) {
            session.out() << piece;
            return session.out().good();
        });
        if (!bytes.ok()) return session.failed(bytes.problem());
        session.out().flush();
        return session.out() ? kOk : kFailed;
    }
    OutputFile out(file, session.options.force);
    if (!out.error().empty()) {
        session.err() << "guideway: " << out.error() << '\n';
        return kFailed;
    }
    const auto bytes = session.client.backup([&](std::string_view piece) {
        count(piece);
        return out.write(piece);
    });
    if (!bytes.ok()) return session.failed(bytes.problem());
    const std::string error = out.finish();
    if (!error.empty()) {
        session.err() << "guideway: " << error << '\n';
        return kFailed;
    }
    session.out() << "backup of " << session.options.server << " in " << file << ": " << count_text(bytes.value())
                  << " bytes, " << count_text(lines)
                  << " lines\nIt holds the hashes of tokens: keep it as you keep them. "
                  << "`guideway restore " << file << "` brings it back.\n";
    return kOk;
}

int restore(Session& session) {
    const CliOptions& options = session.options;
    if (options.file == "-" && !options.yes) {
        return session.misused("a backup from standard input leaves nobody to ask; give --yes");
    }
    std::string document;
    if (!read_text(session, options.file, document, "a backup, or - for standard input")) return kFailed;
    if (document.find_first_not_of(" \t\r\n") == std::string::npos) {
        session.err() << "guideway: " << options.file << " is empty; nothing was changed\n";
        return kFailed;
    }
    std::optional<std::uint64_t> version;
    if (!options.yes) {
        const auto status = session.client.status();
        if (!status.ok()) return session.failed(status.problem());
        // What is agreed to is what is there now: a change in between is no part of it.
        const auto page = session.client.page<resources::AddressPool>({}, {.limit = 1});
        if (!page.ok()) return session.failed(page.problem());
        version = page.value().metadata.resource_version;
        session.out() << "Everything on " << options.server << " will be replaced: " << contents_text(status.value())
                      << ", and its tokens.\nBy the backup " << options.file << ": " << count_text(document.size())
                      << " bytes. Connections go on where what they use is in it too.\nType yes to go on: ";
        session.out().flush();
        std::string answer;
        if (!std::getline(session.streams.in, answer) || answer != "yes") {
            session.err() << "guideway: nothing was changed\n";
            return kFailed;
        }
    }
    const auto status = session.client.restore(document, version);
    if (!status.ok()) {
        session.err() << "guideway: not restored\n";
        return session.failed(status.problem());
    }
    if (session.print_data(resources::encode(status.value()))) return kOk;
    session.out() << "restored: " << contents_text(status.value()) << '\n';
    return kOk;
}

}  // namespace guideway::cli
