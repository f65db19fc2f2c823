#include "api/cli/cli.h"

#include <cstdlib>
#include <optional>
#include <ostream>

#include <CLI/CLI.hpp>

#include "api/cli/commands.h"
#include "api/cli/completion.h"
#include "api/cli/options.h"
#include "api/contract/tap.h"

namespace guideway::cli {

namespace {

constexpr const char* kFooter = R"(Where and as whom: on the appliance root needs no option. Elsewhere:
  guideway --server https://gw.example:8870 --ca-file ca.pem --token-file me.token status
  export GUIDEWAY_SERVER=... GUIDEWAY_CA_FILE=... GUIDEWAY_TOKEN_FILE=...    the same for all commands

Examples:
  guideway apply -f web.yaml --wait        create or change what the file names, until it is in force
  guideway apply -f web.yaml --dry-run     what it would get, and why
  guideway get lb -o wide                  load balancers, their addresses and state
  guideway get lb -l team=shop -w          those of a team, and every change
  guideway describe lb default/web         one of them, with what stands in its way
  guideway explain --protocol tcp --source 192.0.2.10:40000 --destination 203.0.113.1:80
  guideway drops --watch                   why packets are dropped, and what to do
  guideway bgp                             sessions with the routers, and what they are told
  guideway maintenance on --wait 600       withdraw everything; wait for connections to end
  guideway trace --destination 203.0.113.1:80    on the appliance: each packet's way, stage by stage
  guideway capture --port client0 -w web.pcapng  the same for wireshark, before and after translation
  guideway import metallb metallb.yaml     MetalLB's address pools as ours
  guideway backup gw.backup                everything in one file
  source <(guideway completion bash)       completion for this shell

Exit codes: 0 done; 1 refused or failed (status: not forwarding what is wanted; bgp: a
session is down; maintenance --wait: connections are not done); 2 wrong usage; 3 not found; 4 the server cannot be reached;
5 import --strict: not everything can be carried over as it is.)";

using Work = int (*)(Session&);

/// The commands' names, arguments and examples; what was chosen.
class Parser {
  public:
    explicit Parser(CliOptions& options)
        : options_(options), app_("Guideway: shows and changes what the load balancer does.", "guideway") {
        app_.footer(kFooter);
        app_.require_subcommand(1);
        app_.set_version_flag("--version", "guideway " GUIDEWAY_VERSION);
        add_common();
        add_reading();
        add_changing();
        add_import();
        add_tokens();
        add_system();
    }

    /// The exit code of what is done already (help, wrong usage); nothing: go on.
    std::optional<int> parse(const std::vector<std::string>& arguments, Streams streams) {
        try {
            app_.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
        } catch (const CLI::ParseError& error) {
            return app_.exit(error, streams.out, streams.err) == 0 ? kOk : kUsage;
        }
        if (wait_->count() > 0 && options_.wait.empty()) options_.wait = "30";
        if (completion_->parsed()) {
            streams.out << completion_script(options_.shell);
            return kOk;
        }
        if (options_.token_file.empty()) take_token_of_environment();
        return std::nullopt;
    }
    Work work() const { return work_; }

  private:
    CLI::App* command(CLI::App& parent, const char* name, const char* about, Work does, const char* examples = "") {
        CLI::App* sub = parent.add_subcommand(name, about);
        sub->fallthrough();
        if (*examples != '\0') sub->footer(std::string("Examples:\n") + examples);
        sub->callback([this, does] { work_ = does; });
        return sub;
    }

    /// A secret in the environment is for this user's processes alone; among the arguments everybody would see it.
    void take_token_of_environment() {
        const char* token = std::getenv("GUIDEWAY_TOKEN");
        const char* file = std::getenv("GUIDEWAY_TOKEN_FILE");
        if (token != nullptr && *token != '\0') {
            options_.token = token;
            options_.token_origin = "the environment variable GUIDEWAY_TOKEN";
        } else if (file != nullptr) {
            options_.token_file = file;
        }
    }

    void add_common() {
        app_.add_option("--server", options_.server, "where the control plane listens")
            ->envname("GUIDEWAY_SERVER")
            ->capture_default_str();
        app_.add_option("--token-file", options_.token_file,
                        "who is asking: a file with a token, for you alone to read (Env: GUIDEWAY_TOKEN, "
                        "GUIDEWAY_TOKEN_FILE)");
        app_.add_option("--ca-file", options_.ca_file, "the authority that signed the server's certificate (PEM)")
            ->envname("GUIDEWAY_CA_FILE");
        app_.add_option("--client-cert", options_.client_certificate, "your certificate (PEM)")
            ->envname("GUIDEWAY_CLIENT_CERT");
        app_.add_option("--client-key", options_.client_key, "its key (PEM), where it is not in the same file")
            ->envname("GUIDEWAY_CLIENT_KEY");
        app_.add_option("--server-name", options_.server_name, "whom the server's certificate names, if not its host")
            ->envname("GUIDEWAY_SERVER_NAME");
        app_.add_option("--timeout", options_.timeout, "seconds each request may take in all")
            ->check(CLI::Range(0.001, 3600.0));
        app_.add_option("--retry-for", options_.retry_for, "seconds to try again where the server is away or busy")
            ->check(CLI::Range(0.0, 3600.0));
        app_.add_option("-o,--output", options_.output,
                        "table and wide for people, json and yaml for programs, name for the next command")
            ->check(CLI::IsMember({"table", "wide", "json", "yaml", "name"}))
            ->capture_default_str();
        app_.add_option("-n,--namespace", options_.ns, "of load balancers; get: all, the others: default");
        app_.add_option("--cluster", options_.cluster, "of load balancers and nodes; get: all, the others: default");
    }

    void add_target(CLI::App* sub, const char* kinds, bool required) {
        CLI::Option* kind = sub->add_option("kind", options_.kind, kinds);
        if (required) kind->required();
        sub->add_option("name", options_.name, "NAME, or NAMESPACE/NAME");
    }

    void add_reading() {
        CLI::App* get = command(app_, "get", "list resources, or show one", cli::get,
                                R"(  guideway get lb                          all load balancers
  guideway get lb -n shop -l 'tier in (front,edge),!old' -o name
  guideway get node node-1 -o yaml
  guideway get lb -w                       the list, then each change; Ctrl-C ends it
  guideway get snat                        addresses from which the nodes are spoken to)");
        add_target(get, "load-balancers (lb), address-pools (pool), nodes, events, tokens or snat-addresses (snat)",
                   true);
        get->add_option("-l,--selector", options_.labels, "only those with such labels: a=b,c!=d,e in (f,g),h,!i");
        get->add_flag("-A,--all", options_.everywhere, "of all namespaces and clusters")
            ->excludes(app_.get_option("-n"));
        get->add_flag("-w,--watch", options_.watch, "go on: show each change");
        CLI::App* describe =
            command(app_, "describe", "one resource in full, with what stands in its way", cli::describe,
                    "  guideway describe lb shop/web            addresses, conditions, events\n"
                    "  guideway describe pool public            who has its addresses, how full it is");
        add_target(describe, "load-balancer (lb), address-pool (pool), node or token", true);
        CLI::App* events = command(app_, "events", "what happened, the newest last", cli::events,
                                   "  guideway events -w --warnings\n"
                                   "  guideway events --for lb/shop/web");
        events->add_flag("-w,--watch", options_.watch, "go on: show each one as it comes");
        events->add_flag("--warnings", options_.warnings, "only those that are a warning");
        events->add_option("--for", options_.regarding, "only of one object: KIND/NAME");
        events->add_flag("-A,--all", options_.everywhere, "of all namespaces (so it is without -n)");
    }

    void add_changing() {
        CLI::App* apply = command(app_, "apply", "create or change what a YAML or JSON file describes", cli::apply,
                                  R"(  guideway apply -f web.yaml --wait=10
  guideway apply -f web.yaml --dry-run     what it would get, and which pools were passed over
  guideway get lb shop/web -o yaml | sed s/30080/30081/ | guideway apply -f -)");
        apply->add_option("-f,--file", options_.file, "the file, or - for standard input")->required();
        wait_ = apply->add_option("--wait", options_.wait, "until it is in force, at most so many seconds (30)")
                    ->expected(0, 1);
        apply->add_flag("--dry-run", options_.dry_run, "change nothing, say what would be");
        CLI::App* remove = command(app_, "delete", "delete a resource, or what a file names", cli::remove,
                                   "  guideway delete lb shop/web\n"
                                   "  guideway delete -f web.yaml\n"
                                   "  guideway get lb -l team=old -o name | xargs -n1 guideway delete");
        add_target(remove, "load-balancer (lb), address-pool (pool), node or token", false);
        remove->add_option("-f,--file", options_.file, "the file, or - for standard input")->excludes("kind");
        CLI::App* edit = command(app_, "edit", "change a resource in your editor (VISUAL, EDITOR)", cli::edit,
                                 "  EDITOR=nano guideway edit lb shop/web");
        add_target(edit, "load-balancer (lb), address-pool (pool) or node", true);
        CLI::App* drain = command(app_, "drain", "no new connections to a node; old ones go on", cli::drain,
                                  "  guideway drain node-2 --timeout 15m     what is left then is ended");
        drain->add_option("node", options_.name, "the node's name")->required();
        drain->add_option("--timeout", options_.drain_timeout,
                          "how long old connections may go on: 90s, 15m, 2h, 7d or never (unasked: as the node says)");
        CLI::App* undrain = command(app_, "undrain", "new connections to a node again", cli::undrain);
        undrain->add_option("node", options_.name, "the node's name")->required();
    }

    void add_import() {
        CLI::App* import = app_.add_subcommand("import", "what another load balancer's configuration says, as ours");
        import->fallthrough();
        import->require_subcommand(1);
        CLI::App* metallb = command(
            *import, "metallb", "MetalLB's address pools as ours, and what cannot be carried over", cli::import_metallb,
            R"(  guideway import metallb metallb.yaml --out pools.yaml     then: guideway apply -f pools.yaml
  kubectl get ipaddresspools,l2advertisements,bgpadvertisements -A -o yaml | guideway import metallb -
  guideway import metallb --from-cluster --apply            by kubectl, from the cluster to the appliance
  guideway import metallb metallb.yaml --strict | guideway apply -f -     only if all stays as it is

Reads IPAddressPool, L2Advertisement, BGPAdvertisement, BGPPeer, Community, BFDProfile, and the ConfigMap of
MetalLB before 0.13. The pools go to standard output; the report, object by object, to standard error.
Services keep their addresses when the cluster moves over: docs/kubernetes.md says in which order.

Exit codes: 0 done; 1 a file or the cluster cannot be read, nothing was written; 5 with --strict: there are
differences, nothing was written.)");
        metallb->add_option("file", options_.files, "manifests, YAML or JSON; - is standard input");
        metallb->add_flag("--from-cluster", options_.from_cluster, "ask the cluster, by the kubectl found in PATH");
        metallb->add_option("--kubeconfig", options_.kubeconfig, "kubectl's; asks the cluster");
        metallb->add_option("--context", options_.context, "kubectl's; asks the cluster");
        metallb->add_option("--out", options_.out_file, "write the pools to a file (0600), not to standard output");
        metallb->add_flag("--force", options_.force, "replace the file");
        metallb->add_flag("--strict", options_.strict, "write nothing unless all can be carried over as it is");
        metallb->add_flag("--apply", options_.apply, "apply the pools to the appliance at once");
        metallb->add_flag("--dry-run", options_.dry_run, "with --apply: change nothing, say what would be");
    }

    void add_tokens() {
        CLI::App* token = app_.add_subcommand("token", "who may use the API, and for what");
        token->fallthrough();
        token->require_subcommand(1);
        token->footer(
            "Roles: viewer reads all; controller also changes load balancers and nodes of its own cluster; admin "
            "does everything.");
        command(*token, "list", "all tokens, when they end and were last used", cli::list_tokens);
        CLI::App* create = command(*token, "create", "a new token; its secret is shown once", cli::create_token,
                                   "  guideway token create grafana --role viewer --expires 90d\n"
                                   "  guideway token create prod --role controller --cluster prod --out prod.token");
        create->add_option("name", options_.name, "what to call it")->required();
        create->add_option("--role", options_.role, "viewer, controller (with --cluster) or admin")
            ->capture_default_str();
        create->add_option("--expires", options_.expires,
                           "90d, 12h, 2w, a moment (2027-01-31T00:00:00Z) or never (so it is unasked)");
        add_secret_file(create);
        CLI::App* rotate =
            command(*token, "rotate", "another secret for a token; the one before stays valid", cli::rotate_token,
                    "  guideway token rotate prod --out prod.token --force   and once more, when all have it");
        rotate->add_option("name", options_.name, "the token")->required();
        add_secret_file(rotate);
        CLI::App* remove = command(*token, "delete", "end a token and all its secrets", cli::delete_token);
        remove->add_option("name", options_.name, "the token")->required();
    }

    void add_secret_file(CLI::App* sub) {
        sub->add_option("--out", options_.secret_file, "write the secret to a file (0600) and do not show it");
        sub->add_flag("--force", options_.force, "replace the file");
    }

    void add_system() {
        CLI::App* explain = command(
            app_, "explain", "where a connection goes or would go, or which address a load balancer would get, and why",
            cli::explain,
            R"(  guideway explain --protocol tcp --source 192.0.2.10:40000 --destination 203.0.113.1:80
  guideway explain --source 10.0.2.11:30080 --destination 10.0.2.1:5000    the same connection by its backend's side
  guideway explain allocation -f web.yaml  what would it get; which pools were passed over
  guideway explain allocation shop/web     the same of one that is there)");
        explain->add_option("what", options_.what, "connection or allocation")
            ->check(CLI::IsMember({"connection", "allocation"}))
            ->capture_default_str();
        explain->add_option("name", options_.name, "allocation: NAMESPACE/NAME");
        explain->add_option("-f,--file", options_.file,
                            "allocation: a file with a load balancer, or - for standard input");
        explain->add_option("--protocol", options_.protocol, "tcp, udp or sctp")->capture_default_str();
        explain->add_option("--source", options_.source, "the client's ADDRESS:PORT ([v6]:port)");
        explain->add_option("--destination", options_.destination, "the VIP's ADDRESS:PORT ([v6]:port)");
        add_socket(explain);
        command(app_, "status", "the appliance on one screen", cli::status);
        CLI::App* top = command(app_, "top", "rates by service and backend", cli::top);
        top->add_option("--interval", options_.interval, "seconds between two readings")
            ->check(CLI::Range(0.05, 3600.0))
            ->capture_default_str();
        top->add_flag("--once", options_.once, "one table, then end");
        add_drops();
        add_announcing();
        add_taps();
        CLI::App* backup = command(app_, "backup", "everything the control plane keeps, in one file", cli::backup,
                                   "  guideway backup gw.backup\n"
                                   "  guideway backup - | gzip > gw.backup.gz");
        backup->add_option("file", options_.file, "the file (0600), or - for standard output")->required();
        backup->add_flag("--force", options_.force, "replace the file");
        CLI::App* restore = command(app_, "restore", "replace everything by a backup", cli::restore,
                                    "  guideway restore gw.backup               shows what will be replaced, and asks\n"
                                    "  gzip -dc gw.backup.gz | guideway restore - --yes");
        restore->add_option("file", options_.file, "the backup, or - for standard input")->required();
        restore->add_flag("--yes", options_.yes, "do not ask");
        completion_ = app_.add_subcommand("completion", "a script for the shell's completion");
        completion_->fallthrough();
        completion_->add_option("shell", options_.shell, "bash or zsh")
            ->check(CLI::IsMember({"bash", "zsh"}))
            ->required();
    }

    void add_socket(CLI::App* sub) {
        sub->add_option(
               "--socket", options_.socket,
               "ask the dataplane itself, without the control plane: its Unix socket, on the appliance, as root "
               "(/run/guideway/dataplane.sock)")
            ->envname("GUIDEWAY_DATAPLANE_SOCKET");
    }

    void add_drops() {
        CLI::App* drops = command(
            app_, "drops", "why packets were dropped, what that means and what to do", cli::drops,
            R"(  guideway drops                           every reason that was counted since the dataplane's start
  guideway drops --watch                   what grows now, fastest first; Ctrl-C ends it
  guideway drops reply_unknown --workers   one reason, by worker
  guideway drops --all                     every reason there is, with its help
  guideway drops --socket /run/guideway/dataplane.sock     while the control plane is down)");
        drops->add_option("reason", options_.name, "only this one");
        drops->add_flag("--all", options_.everywhere, "those that were never counted too");
        drops->add_flag("--workers", options_.by_worker, "each worker's share");
        drops->add_flag("-w,--watch", options_.watch, "again and again, with the rate");
        drops->add_option("--interval", options_.interval, "--watch: seconds between two readings")
            ->check(CLI::Range(0.05, 3600.0))
            ->capture_default_str();
        drops->add_flag("--once", options_.once, "--watch: one interval, then end");
        add_socket(drops);
    }

    void add_announcing() {
        command(app_, "bgp", "sessions with the routers, what they are told, and why not", cli::bgp,
                R"(  guideway bgp                             sessions, then the routes that are told
  guideway bgp -o json                     for programs
  guideway bgp >/dev/null || echo "look at BGP"

What is shown is at most a few seconds old; how old, it says.
Exit codes: 0 all sessions are established and the routes are as they should be; 1 one is down, the routing daemon
does not answer, or announcing fails; 3 BGP is not configured. docs/bgp.md goes from symptom to cause.)");
        CLI::App* maintain =
            command(app_, "maintenance", "withdraw everything that is announced by BGP, and announce it again",
                    cli::maintenance,
                    R"(  guideway maintenance on --reason "new NIC" --wait 600     then the appliance can be taken away
  guideway maintenance status              on or off, why, since when, and how many connections are left
  guideway maintenance off                 what is forwarded is announced again

It outlives restarts. Connections go on as far as the network still leads them here; --wait shows how many are left.
Everything stays withdrawn until `off`, also where --wait ends before all are done (exit code 1), or by Ctrl-C.
While no control plane runs: guideway-controlplane --maintenance on.)");
        maintain->add_option("what", options_.maintain, "on, off or status")
            ->check(CLI::IsMember({"on", "off", "status"}))
            ->required();
        maintain->add_option("--reason", options_.reason, "on: one line for the others, shown by status");
        maintain
            ->add_option("--wait", options_.patience,
                         "on: wait until all connections are done, at most so many seconds")
            ->check(CLI::Range(1U, 604800U));
    }

    void add_taps() {
        CLI::App* trace = command(
            app_, "trace", "packets on their way through the appliance: what each stage finds, and the verdict",
            cli::trace,
            R"(  guideway trace --source 192.0.2.10 --destination 203.0.113.1:80     a client's connection, both directions
  guideway trace --destination 10.0.2.11:30080      the same from the node's side, once it is open
  guideway trace --drops --seconds 10               whatever is dropped or refused now, with what to do
  guideway trace --reason no_backend --count 1      the next one that finds no backend
  guideway trace --protocol udp --destination :53 -o json | jq .verdict)");
        add_tap(trace);
        CLI::App* capture =
            command(app_, "capture", "packets before and after translation, as a pcapng file for wireshark and tcpdump",
                    cli::capture,
                    R"(  guideway capture --destination 203.0.113.1:443 -w web.pcapng
  guideway capture --port client0 --count 500 --snap 96 -w client.pcapng     what a port sees
  guideway capture --source 192.0.2.10 | tcpdump -r - -n
  ssh root@gw guideway capture --destination :443 | wireshark -k -i -

One interface a port and direction ("client0 in", "client0 out"); each packet's comment tells what became of it.)");
        add_tap(capture);
        capture->add_option("-w,--write", options_.file, "the file (0600), or - for standard output, as without it");
        capture->add_flag("--force", options_.force, "replace the file");
    }

    void add_tap(CLI::App* sub) {
        sub->add_option("--protocol", options_.tap_protocol, "tcp, udp, sctp or icmp; unasked: any")
            ->check(CLI::IsMember({"tcp", "udp", "sctp", "icmp"}, CLI::ignore_case));
        sub->add_option("--source", options_.source,
                        "who opened the connection: ADDRESS, PREFIX/LENGTH, with or without :PORT, or :PORT alone");
        sub->add_option("--destination", options_.destination,
                        "whereto, in the same forms; replies and the translated side match too");
        sub->add_option("--port", options_.device, "only what comes in or leaves by this port");
        sub->add_flag("--drops", options_.drops_only, "only what is dropped or refused");
        sub->add_option("--reason", options_.reason, "only what is dropped or refused for this (guideway drops --all)");
        sub->add_option("--count", options_.count, "packets, then end")
            ->check(CLI::Range(1U, contract::kMostTapPackets))
            ->capture_default_str();
        sub->add_option("--seconds", options_.seconds, "then end")
            ->check(CLI::Range(1U, contract::kMostTapSeconds))
            ->capture_default_str();
        sub->add_option("--rate", options_.rate, "packets a second; what is more is counted, not shown")
            ->check(CLI::Range(1U, contract::kMostTapRate))
            ->capture_default_str();
        sub->add_option("--snap", options_.snap, "bytes of each packet (128; capture: 2048)")
            ->check(CLI::Range(contract::kLeastTapBytes, contract::kMostTapBytes));
        sub->add_option("--socket", options_.socket,
                        "the dataplane's Unix socket, on the appliance, as root (/run/guideway/dataplane.sock)")
            ->envname("GUIDEWAY_DATAPLANE_SOCKET");
    }

    CliOptions& options_;
    CLI::App app_;
    CLI::Option* wait_ = nullptr;
    CLI::App* completion_ = nullptr;
    Work work_ = nullptr;
};

}  // namespace

int run(const std::vector<std::string>& arguments, Streams streams) {
    CliOptions options;
    Parser parser(options);
    if (const auto code = parser.parse(arguments, streams)) return *code;
    Session session(options, streams);
    return parser.work()(session);
}

}  // namespace guideway::cli
