// edit: an object in the editor; what is saved is applied, unless somebody else changed it meanwhile.
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <variant>

#include <nlohmann/json.hpp>

#include "api/cli/commands.h"
#include "api/cli/documents.h"
#include "api/cli/yaml_text.h"
#include "api/client/kind_codec.h"

namespace guideway::cli {

namespace {

constexpr const char* kMark = "#! ";  // lines of ours, taken away again

/// A file for its owner alone, gone with this unless kept.
class EditFile {
  public:
    EditFile() {
        std::error_code ignored;
        const std::filesystem::path folder = std::filesystem::temp_directory_path(ignored);
        path_ = (folder.empty() ? "/tmp" : folder) / "guideway-edit-XXXXXX.yaml";
        const int fd = ::mkstemps(path_.data(), 5);
        if (fd < 0) {
            path_.clear();
        } else {
            ::close(fd);
        }
    }
    ~EditFile() {
        if (!path_.empty() && !kept_) ::unlink(path_.c_str());
    }
    EditFile(const EditFile&) = delete;
    EditFile& operator=(const EditFile&) = delete;

    const std::string& path() const { return path_; }
    void keep() { kept_ = true; }
    bool write(const std::string& text) const {
        std::ofstream file(path_, std::ios::binary | std::ios::trunc);
        return file.is_open() && (file << text).flush().good();
    }
    /// Without our own lines.
    std::string read() const {
        std::ifstream file(path_, std::ios::binary);
        std::string out;
        for (std::string line; std::getline(file, line);) {
            if (!line.starts_with(kMark)) out += line + "\n";
        }
        return out;
    }

  private:
    std::string path_;
    bool kept_ = false;
};

std::string editor_command() {
    for (const char* name : {"VISUAL", "EDITOR"}) {
        const char* value = std::getenv(name);
        if (value != nullptr && *value != '\0') return value;
    }
    return "vi";
}

/// True: it ended as editors do that are content.
bool run_editor(const std::string& command, const std::string& path) {
    const pid_t child = ::fork();
    if (child < 0) return false;
    if (child == 0) {
        const std::string script = command + " \"$1\"";
        ::execl("/bin/sh", "sh", "-c", script.c_str(), "sh", path.c_str(), static_cast<char*>(nullptr));
        ::_exit(127);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string marked(const std::vector<std::string>& lines) {
    std::string out;
    for (const std::string& line : lines) out += kMark + line + "\n";
    return out;
}

template <class T>
std::string editable(const T& object) {
    auto tree = nlohmann::ordered_json::parse(resources::encode(object));
    tree.erase("status");
    for (const char* name : {"resourceVersion", "generation", "creationTimestamp"}) tree["metadata"].erase(name);
    return yaml_of(tree.dump());
}

template <class T>
int edit_kind(Session& session) {
    const auto found = session.client.get<T>(session.name);
    if (!found.ok()) return session.failed(found.problem());
    const std::string shown = title_of(session.kind) + " " + text_of(session.kind, session.name);
    EditFile file;
    if (file.path().empty())
        return session.misused("cannot make a file to edit in the folder for temporary files (TMPDIR)");
    const std::string command = editor_command();
    const std::string original = editable(found.value());
    std::string text = original;
    std::vector<std::string> notes{shown + ": save and leave to apply; leave without a change to give up."};
    while (true) {
        if (!file.write(marked(notes) + text)) return session.misused("cannot write " + file.path());
        if (!run_editor(command, file.path())) {
            session.err() << "guideway: the editor \"" << command
                          << "\" failed (VISUAL, EDITOR); nothing was changed\n";
            return kFailed;
        }
        const std::string edited = file.read();
        if (edited == original || edited.find_first_not_of(" \t\r\n") == std::string::npos) {
            session.out() << shown << ": edit given up, nothing was changed\n";
            return kOk;
        }
        // The same faults again: no use in asking for ever.
        if (edited == text && notes.size() > 1) {
            file.keep();
            session.err() << "guideway: " << shown << " was not changed; your text is in " << file.path() << '\n';
            return kFailed;
        }
        text = edited;
        notes = {shown + " was not changed, because:"};
        Documents documents = read_documents(text, "line by line", {session.name.namespace_, session.name.cluster});
        for (const std::string& error : documents.errors) notes.push_back("  " + error);
        if (!documents.errors.empty()) continue;
        const T* wanted = documents.documents.size() == 1 ? std::get_if<T>(&documents.documents.front()) : nullptr;
        if (wanted == nullptr ||
            text_of(session.kind, client::name_of(*wanted)) != text_of(session.kind, session.name)) {
            notes.push_back("  kind and names must stay as they were: " + shown);
            continue;
        }
        const auto put = session.client.ensure(*wanted, {.version = found.value().metadata.resource_version});
        if (put.ok()) {
            session.out() << shown << " edited\n";
            return kOk;
        }
        const resources::Problem& problem = put.problem();
        if (problem.status != 400 && problem.status != 409 && problem.status != 422) {
            file.keep();
            session.err() << "guideway: " << shown << " was not changed; your text is in " << file.path() << '\n';
            return session.failed(problem);
        }
        notes.push_back("  " + problem.detail);
        for (const contract::Fault& fault : problem.faults) notes.push_back("  " + fault.field + ": " + fault.message);
    }
}

}  // namespace

int edit(Session& session) {
    if (!session.read_target({Kind::load_balancer, Kind::address_pool, Kind::node}, true)) return kUsage;
    switch (session.kind) {
        case Kind::load_balancer:
            return edit_kind<resources::LoadBalancer>(session);
        case Kind::address_pool:
            return edit_kind<resources::AddressPool>(session);
        default:
            return edit_kind<resources::Node>(session);
    }
}

}  // namespace guideway::cli
