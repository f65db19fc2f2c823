// token list, create, rotate, delete. Secrets are shown once, or written to a file that only its owner may read.
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "api/cli/commands.h"
#include "api/cli/output_file.h"
#include "api/cli/show.h"
#include "api/cli/text.h"
#include "api/resources/names.h"
#include "api/resources/token_codec.h"

namespace guideway::cli {

namespace {

std::string time_text(std::time_t time) {
    std::tm parts{};
    gmtime_r(&time, &parts);
    std::string text(32, '\0');
    text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts));
    return text;
}

bool is_role(const std::string& text) { return text == "viewer" || text == "controller" || text == "admin"; }

/// The new secret, as wanted: into a file, as data, or on the screen with how to use it.
int show_secret(Session& session, const resources::Token& token, const std::string& what) {
    const CliOptions& options = session.options;
    if (token.status.token.empty()) {
        return session.failed({0, "UnexpectedAnswer", options.server + " answered without the new secret", {}});
    }
    std::string file = options.secret_file;
    if (!file.empty()) {
        OutputFile out(file, options.force);
        if (out.error().empty()) out.write(token.status.token + "\n");
        const std::string error = out.finish();
        if (!error.empty()) {
            session.err() << "guideway: " << error << "\n  The secret is lost; `guideway token rotate "
                          << token.metadata.name << "` makes another.\n";
            return kFailed;
        }
    }
    resources::Token shown = token;
    if (!file.empty()) shown.status.token.clear();
    if (session.print_data(resources::encode(shown))) return kOk;
    const std::string of = token.spec.cluster.empty() ? "" : " of cluster " + token.spec.cluster;
    session.out() << "token " << token.metadata.name << ' ' << what << " (" << token.spec.role << of << ", "
                  << (token.spec.expires_at.empty() ? "never expires" : "expires " + token.spec.expires_at) << ")\n";
    if (!file.empty()) {
        session.out() << "Its secret is in " << file << ", for you alone to read. Use it so:\n";
    } else {
        session.out()
            << "\n    " << token.status.token
            << "\n\nThis is shown once. Keep it in a file that only its user can read (chmod 600), and use it so:\n";
        file = token.metadata.name + ".token";
    }
    session.out() << "    guideway --server " << options.server << " --token-file " << file << " status\n"
                  << "    curl -H \"Authorization: Bearer $(cat " << file << ")\" " << options.server << "/v1/status\n";
    return kOk;
}

bool read_token_name(Session& session) {
    NameOrError parsed = parse_name(Kind::token, session.options.name, {}, {});
    session.name = std::move(parsed.name);
    if (!parsed.error.empty()) session.misused(parsed.error);
    return parsed.error.empty();
}

/// A name alone would leave the secret unseen.
bool output_is_right(const Session& session) {
    if (session.options.output != "name" || !session.options.secret_file.empty()) return true;
    session.wrong("-o", "name", "table, json or yaml here, or --out FILE: the secret is shown once only");
    return false;
}

/// Before the secret is made: where it cannot be kept it had better not be.
bool file_is_free(const Session& session) {
    const CliOptions& options = session.options;
    std::error_code ignored;
    if (options.secret_file.empty() || options.force || !std::filesystem::exists(options.secret_file, ignored))
        return true;
    session.misused("--out: " + options.secret_file + " is there already; give another file, or --force to replace it");
    return false;
}

}  // namespace

int list_tokens(Session& session) {
    session.kind = Kind::token;
    return show_kind(session);
}

int create_token(Session& session) {
    const CliOptions& options = session.options;
    if (!read_token_name(session) || !output_is_right(session) || !file_is_free(session)) return kUsage;
    if (!is_role(options.role)) return session.wrong("--role", options.role, "viewer, controller or admin");
    if ((options.role == "controller") == options.cluster.empty()) {
        return session.misused(
            options.role == "controller"
                ? "--cluster: missing; a controller changes objects of one cluster: --cluster default"
                : "--cluster: allowed beside --role controller only");
    }
    resources::Token token;
    token.metadata.name = session.name.name;
    token.spec.role = options.role;
    token.spec.cluster = options.cluster;
    if (resources::is_utc_time(options.expires)) {
        token.spec.expires_at = options.expires;
    } else if (!options.expires.empty() && options.expires != "never") {
        const auto seconds = parse_duration(options.expires);
        if (!seconds) {
            return session.wrong("--expires", options.expires,
                                 "a time from now (90d, 12h, 2w), a moment (2027-01-31T00:00:00Z) or never");
        }
        token.spec.expires_at = time_text(std::time(nullptr) + static_cast<std::time_t>(*seconds));
    }
    const auto put = session.client.ensure(token, {.must_be_new = true});
    if (!put.ok() && put.problem().status == 412) {
        session.err()
            << "guideway: there is a token " << token.metadata.name
            << " already\n  `guideway token rotate` gives it another secret; `guideway token delete` ends it.\n";
        return kFailed;
    }
    if (!put.ok()) return session.failed(put.problem());
    return show_secret(session, put.value().object, "created");
}

int rotate_token(Session& session) {
    if (!read_token_name(session) || !output_is_right(session) || !file_is_free(session)) return kUsage;
    const auto token = session.client.rotate_token(session.name.name);
    if (!token.ok()) return session.failed(token.problem());
    const int code = show_secret(session, token.value(), "rotated");
    if (code == kOk && !session.wants_data() && token.value().status.secrets.size() > 1) {
        session.out() << "The secret before it stays valid until the next rotation: hand the new one out, then rotate "
                         "once more.\n";
    }
    return code;
}

int delete_token(Session& session) {
    if (!session.named && !read_token_name(session)) return kUsage;
    const auto token = session.client.get<resources::Token>(session.name);
    if (!token.ok()) return session.failed(token.problem());
    const auto done = session.client.remove<resources::Token>(session.name);
    if (!done.ok()) return session.failed(done.problem());
    if (session.print_data(resources::encode(token.value()))) return kOk;
    session.out() << (session.options.output == "name" ? "token/" : "token ") << session.name.name
                  << (session.options.output == "name" ? "\n" : " deleted; its secrets are refused from now on\n");
    return kOk;
}

}  // namespace guideway::cli
