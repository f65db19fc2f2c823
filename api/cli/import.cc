// import metallb: MetalLB's configuration as ours.
#include "api/cli/metallb/import.h"

#include <algorithm>
#include <variant>

#include <nlohmann/json.hpp>

#include "api/cli/child_process.h"
#include "api/cli/commands.h"
#include "api/cli/output_file.h"
#include "api/cli/text.h"
#include "api/cli/yaml_text.h"
#include "api/resources/names.h"

namespace guideway::cli {

namespace {

/// What MetalLB writes itself about single Services: large, and nothing to carry over.
bool is_record(const std::string& resource) {
    return resource.starts_with("servicel2status") || resource.starts_with("servicebgpstatus") ||
           resource.starts_with("configurationstat");
}

std::vector<std::string> kubectl(const CliOptions& options, std::vector<std::string> arguments) {
    std::vector<std::string> argv{"kubectl"};
    if (!options.kubeconfig.empty()) argv.insert(argv.end(), {"--kubeconfig", options.kubeconfig});
    if (!options.context.empty()) argv.insert(argv.end(), {"--context", options.context});
    argv.emplace_back("--request-timeout=60s");
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
}

/// Runs kubectl; false: told why not.
bool run_kubectl(const Session& session, const std::vector<std::string>& arguments, std::string& out) {
    const std::vector<std::string> argv = kubectl(session.options, arguments);
    ChildResult done = run_child(argv);
    // Its warnings, too.
    session.err() << done.err;
    if (!done.err.empty() && done.err.back() != '\n') session.err() << '\n';
    out = std::move(done.out);
    if (done.ok()) return true;
    std::string line;
    for (const std::string& one : argv) line += (line.empty() ? "" : " ") + one;
    session.err() << "guideway: " << (done.failure.empty() ? "exit code " + std::to_string(done.code) : done.failure)
                  << " of: " << line
                  << "\n  Where kubectl is elsewhere, let it write what it prints with -o yaml to a file, and import "
                     "that file.\n";
    return false;
}

/// What the cluster has of MetalLB's kinds; where it knows none of them, the ConfigMap of MetalLB before 0.13.
bool read_cluster(const Session& session, std::string& text, std::string& source) {
    std::string known;
    if (!run_kubectl(session, {"api-resources", "--api-group=metallb.io", "--verbs=list", "-o", "name"}, known)) {
        return false;
    }
    std::string kinds;
    for (std::size_t at = 0; at < known.size();) {
        const std::size_t end = std::min(known.find('\n', at), known.size());
        const std::string resource = known.substr(at, end - at);
        if (!resource.empty() && !is_record(resource)) kinds += (kinds.empty() ? "" : ",") + resource;
        at = end + 1;
    }
    if (kinds.empty()) {
        source = "configmap metallb-system/config of the cluster";
        return run_kubectl(session, {"get", "configmap", "config", "--namespace", "metallb-system", "-o", "json"},
                           text);
    }
    source = "the cluster";
    return run_kubectl(session, {"get", kinds, "--all-namespaces", "-o", "json"}, text);
}

std::string documents_of(const Session& session, const std::vector<resources::AddressPool>& pools) {
    std::string out;
    if (session.options.output == "json") {
        nlohmann::ordered_json list{{"kind", "List"}, {"items", nlohmann::ordered_json::array()}};
        for (const auto& pool : pools) list["items"].push_back(nlohmann::ordered_json::parse(metallb::wish_of(pool)));
        return list.dump(2) + "\n";
    }
    for (const auto& pool : pools) {
        if (session.options.output == "name") {
            out += title_of(Kind::address_pool) + "/" + pool.metadata.name + "\n";
        } else {
            out += (out.empty() ? "" : "---\n") + yaml_of(metallb::wish_of(pool));
        }
    }
    return out;
}

/// To standard output or the file; false: told why not.
bool write_documents(const Session& session, const std::string& text) {
    if (session.options.out_file.empty()) {
        session.out() << text;
        return true;
    }
    OutputFile file(session.options.out_file, session.options.force);
    file.write(text);
    const std::string error = file.finish();
    if (!error.empty()) session.err() << "guideway: " << error << '\n';
    return error.empty();
}

/// Everything that is given; nothing: told why not, with this exit code.
std::variant<metallb::Configuration, int> read_input(const Session& session) {
    const CliOptions& options = session.options;
    metallb::Configuration found;
    const bool cluster = options.from_cluster || !options.kubeconfig.empty() || !options.context.empty();
    if (cluster == !options.files.empty()) {
        return session.misused(
            "wanted either files with MetalLB's manifests (- is standard input), or --from-cluster (see --help)");
    }
    std::string text, source;
    if (cluster) {
        if (!read_cluster(session, text, source)) return kFailed;
        metallb::read_configuration(text, source, found);
    }
    for (const std::string& file : options.files) {
        if (!read_text(session, file, text, "files with MetalLB's manifests, or - for standard input")) return kFailed;
        metallb::read_configuration(text, file == "-" ? "standard input" : file, found);
    }
    return found;
}

}  // namespace

int import_metallb(Session& session) {
    const CliOptions& options = session.options;
    if (!options.cluster.empty() && !resources::is_label(options.cluster)) {
        return session.wrong("--cluster", options.cluster, "a cluster: lower-case letters, digits and '-'");
    }
    if (options.dry_run && !options.apply) return session.misused("--dry-run goes with --apply alone");
    if (options.apply && !options.out_file.empty()) return session.misused("wanted either --apply or --out, not both");
    auto read = read_input(session);
    if (const int* code = std::get_if<int>(&read)) return *code;
    auto& found = std::get<metallb::Configuration>(read);
    const std::vector<resources::AddressPool> pools = metallb::pools_of(found, options.cluster);
    if (!found.errors.empty()) {
        // They quote what the files hold.
        for (const std::string& error : found.errors) session.err() << "guideway: " << printable(error) << '\n';
        session.err() << "guideway: nothing was " << (options.apply ? "changed" : "written") << '\n';
        return kFailed;
    }
    metallb::print_report(session.err(), found.reports);
    const metallb::Totals totals = metallb::totals_of(found.reports);
    if (options.strict && totals.differs + totals.lost > 0) {
        session.err() << "guideway: not everything can be carried over as it is, and --strict was given; nothing was "
                      << (options.apply ? "changed" : "written") << '\n';
        return kDiffers;
    }
    if (pools.empty()) {
        session.err() << "guideway: there is no pool to " << (options.apply ? "apply" : "write") << '\n';
        return kOk;
    }
    if (options.apply) return apply_documents(session, {pools.begin(), pools.end()});
    return write_documents(session, documents_of(session, pools)) ? kOk : kFailed;
}

}  // namespace guideway::cli
