#include "controlplane/kubernetes/client/kubeconfig.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <openssl/evp.h>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "controlplane/kubernetes/client/server_address.h"

namespace guideway::kubernetes {

namespace {

constexpr std::size_t kMaxBytes = 4U << 20;

std::optional<std::string> decode_base64(std::string text) {
    std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
    if (text.empty() || text.size() % 4 != 0) return std::nullopt;
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    std::string out(text.size() / 4 * 3, '\0');
    const int size =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    if (size < 0) return std::nullopt;
    out.resize(static_cast<std::size_t>(size) - padding);
    return out;
}

class Reader {
  public:
    Reader(const std::string& path, const KubeconfigOptions& options) : path_(path), options_(options) {}

    contract::Decoded<Access> read(const YAML::Node& root) {
        if (!root.IsMap()) {
            fault("", "found no mapping, allowed a kubeconfig (apiVersion v1, kind Config)");
            return finish();
        }
        const auto kind = text(root, "", "kind");
        if (kind && *kind != "Config") fault("kind", "found \"" + *kind + "\", allowed Config");
        const auto version = text(root, "", "apiVersion");
        if (version && *version != "v1") fault("apiVersion", "found \"" + *version + "\", allowed v1");
        std::string name = options_.context;
        if (name.empty()) name = text(root, "", "current-context").value_or("");
        if (name.empty()) {
            fault("current-context",
                  "found none, allowed one of " + names_in(root, "contexts") + "; or name the context to be used");
            return finish();
        }
        access_.origin = "context " + name + " of " + path_;
        const auto context = named(root, "contexts", "context", name, "");
        if (!context) return finish();
        const auto cluster_name = text(context->node, context->field, "cluster");
        const auto user_name = text(context->node, context->field, "user");
        access_.namespace_ = text(context->node, context->field, "namespace").value_or("");
        if (!cluster_name || cluster_name->empty()) {
            fault(context->field + ".cluster", "found none, allowed one of " + names_in(root, "clusters"));
        } else if (const auto cluster =
                       named(root, "clusters", "cluster", *cluster_name, context->field + ".cluster")) {
            read_cluster(*cluster);
        }
        // Without a user: as nobody, as kubectl does.
        if (user_name && !user_name->empty()) {
            if (const auto user = named(root, "users", "user", *user_name, context->field + ".user")) read_user(*user);
        }
        return finish();
    }

    void fault(const std::string& field, const std::string& message) {
        faults_.push_back({field, path_ + ": " + message});
    }
    contract::Decoded<Access> finish() {
        if (!faults_.empty()) return {std::nullopt, std::move(faults_)};
        return {std::move(access_), {}};
    }

  private:
    struct Place {
        YAML::Node node;
        std::string field;
    };

    static std::string joined(const std::string& field, const std::string& name) {
        return field.empty() ? name : field + "." + name;
    }

    /// Nothing: absent, null, or a fault.
    std::optional<std::string> text(const YAML::Node& node, const std::string& field, const std::string& name) {
        const YAML::Node value = node[name];
        if (!value || value.IsNull()) return std::nullopt;
        if (!value.IsScalar()) {
            fault(joined(field, name), "found a list or mapping, allowed text");
            return std::nullopt;
        }
        return value.Scalar();
    }

    static std::string names_in(const YAML::Node& root, const std::string& list) {
        std::string out;
        const YAML::Node entries = root[list];
        for (std::size_t i = 0; entries && entries.IsSequence() && i < entries.size(); ++i) {
            if (!entries[i].IsMap()) continue;
            const YAML::Node name = entries[i]["name"];
            if (name && name.IsScalar()) out += (out.empty() ? "" : ", ") + name.Scalar();
        }
        return out.empty() ? "the names in " + list + " (there are none)" : out;
    }

    /// The first of that name, as kubectl takes it. `from`: what named it; empty: the options or current-context.
    std::optional<Place> named(const YAML::Node& root, const std::string& list, const std::string& member,
                               const std::string& name, const std::string& from) {
        const YAML::Node entries = root[list];
        for (std::size_t i = 0; entries && entries.IsSequence() && i < entries.size(); ++i) {
            const YAML::Node entry = entries[i];
            if (!entry.IsMap() || !entry["name"] || !entry["name"].IsScalar() || entry["name"].Scalar() != name)
                continue;
            const std::string field = list + "[" + std::to_string(i) + "]." + member;
            const YAML::Node value = entry[member];
            if (!value || !value.IsMap()) {
                fault(field, "found no mapping, allowed the settings of \"" + name + "\"");
                return std::nullopt;
            }
            return Place{value, field};
        }
        const std::string field = !from.empty() ? from : options_.context.empty() ? "current-context" : list;
        fault(field, "found \"" + name + "\", allowed one of " + names_in(root, list));
        return std::nullopt;
    }

    Pem pem(const Place& place, const std::string& name) {
        Pem out;
        if (const auto data = text(place.node, place.field, name + "-data"); data && !data->empty()) {
            const auto decoded = decode_base64(*data);
            if (decoded && decoded->find("-----BEGIN ") != std::string::npos) {
                out.data = *decoded;
            } else {
                fault(place.field + "." + name + "-data", "found something else, allowed PEM in base64");
            }
            return out;
        }
        out.file = file(place, name);
        return out;
    }

    std::string file(const Place& place, const std::string& name) {
        const auto value = text(place.node, place.field, name);
        if (!value || value->empty()) return {};
        std::filesystem::path path(*value);
        if (path.is_relative()) path = std::filesystem::path(path_).parent_path() / path;
        std::error_code ignored;
        if (!std::filesystem::is_regular_file(path, ignored)) {
            fault(place.field + "." + name, "found \"" + path.string() + "\", where no file is that can be read");
        }
        return path.string();
    }

    void refuse(const Place& place, const std::string& name, const std::string& why) {
        const YAML::Node value = place.node[name];
        if (!value || value.IsNull() || (value.IsScalar() && value.Scalar().empty())) return;
        fault(place.field + "." + name, why);
    }

    void read_cluster(const Place& place) {
        access_.server = text(place.node, place.field, "server").value_or("");
        const auto address = parse_server_address(access_.server);
        if (!address) {
            fault(place.field + ".server",
                  "found \"" + access_.server + "\", allowed " + std::string(kServerAddressForms));
        }
        access_.server_name = text(place.node, place.field, "tls-server-name").value_or("");
        const auto insecure = text(place.node, place.field, "insecure-skip-tls-verify").value_or("false");
        if (insecure != "true" && insecure != "false") {
            fault(place.field + ".insecure-skip-tls-verify", "found \"" + insecure + "\", allowed true, false");
        } else if (insecure == "true" && !options_.allow_insecure) {
            fault(place.field + ".insecure-skip-tls-verify",
                  "found true, allowed false: whoever is on the way could be the server; give certificate-authority");
        }
        access_.insecure = insecure == "true";
        access_.authority = pem(place, "certificate-authority");
        if (access_.insecure && !access_.authority.empty()) {
            fault(place.field + ".insecure-skip-tls-verify",
                  "found true beside a certificate authority, allowed one of them");
        }
        refuse(place, "proxy-url", "found a proxy, allowed a server that is reached without one");
    }

    void read_user(const Place& place) {
        static const std::string kAllowed =
            ", allowed client-certificate(-data) with client-key(-data), token or tokenFile";
        refuse(place, "exec", "found a plugin to run" + kAllowed);
        refuse(place, "auth-provider", "found a plugin" + kAllowed);
        refuse(place, "username", "found a name for a password" + kAllowed);
        refuse(place, "password", "found a password" + kAllowed);
        for (const char* name : {"as", "as-uid", "as-groups", "as-user-extra"}) {
            refuse(place, name, "found another user to act as" + kAllowed);
        }
        const std::size_t faults = faults_.size();
        access_.client_certificate = pem(place, "client-certificate");
        access_.client_key = pem(place, "client-key");
        const bool readable = faults_.size() == faults;
        if (readable && access_.client_certificate.empty() != access_.client_key.empty()) {
            const std::string missing = access_.client_key.empty() ? "client-key" : "client-certificate";
            fault(place.field + "." + missing, "found none, allowed one: certificate and key go together");
        }
        access_.token_file = file(place, "tokenFile");
        if (access_.token_file.empty()) access_.token = text(place.node, place.field, "token").value_or("");
    }

    const std::string& path_;
    const KubeconfigOptions& options_;
    Access access_;
    std::vector<contract::Fault> faults_;
};

}  // namespace

contract::Decoded<Access> parse_kubeconfig(std::string_view text, const std::string& path,
                                           const KubeconfigOptions& options) {
    Reader reader(path, options);
    if (text.size() > kMaxBytes) {
        reader.fault("", "found more than 4 MiB");
        return reader.finish();
    }
    try {
        return reader.read(YAML::Load(std::string(text)));
    } catch (const YAML::Exception& error) {
        Reader failed(path, options);
        failed.fault("", "found no valid YAML: line " + std::to_string(error.mark.line + 1) + ", column " +
                             std::to_string(error.mark.column + 1) + ": " + error.msg);
        return failed.finish();
    }
}

contract::Decoded<Access> read_kubeconfig(const std::string& path, const KubeconfigOptions& options) {
    std::ifstream file(path, std::ios::binary);
    std::error_code error;
    if (!file || !std::filesystem::is_regular_file(path, error)) {
        Reader reader(path, options);
        reader.fault("", "found no file that can be read");
        return reader.finish();
    }
    std::string text(kMaxBytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    return parse_kubeconfig(text, path, options);
}

}  // namespace guideway::kubernetes
