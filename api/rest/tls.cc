#include "api/rest/tls.h"

#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <climits>

namespace guideway::rest {
namespace {

template <auto Free>
struct Freer {
    template <class T>
    void operator()(T* pointer) const {
        Free(pointer);
    }
};
using Context = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;
using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

constexpr std::size_t kMaxFileBytes = 1 << 20;

/// What tells one state of a file from another. A link that was turned to another file has another inode.
struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    timespec changed{};

    friend bool operator==(const Stamp& a, const Stamp& b) {
        return a.device == b.device && a.inode == b.inode && a.size == b.size && a.changed.tv_sec == b.changed.tv_sec &&
               a.changed.tv_nsec == b.changed.tv_nsec;
    }
};
using Stamps = std::array<Stamp, 3>;

Stamp stamp_of(const std::string& path) {
    struct stat status {};
    if (path.empty() || ::stat(path.c_str(), &status) != 0) return {};
    return {status.st_dev, status.st_ino, status.st_size, status.st_mtim};
}

Stamps stamps_of(const TlsFiles& files) {
    return {stamp_of(files.certificate), stamp_of(files.key), stamp_of(files.client_ca)};
}

struct Text {
    std::string content;
    std::string error;  ///< empty: read
};

Text read_file(const std::string& path, bool secret) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return {"", std::system_category().message(errno)};
    Text text;
    struct stat status {};
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        text.error = "it is no regular file";
    } else if (secret && (status.st_mode & 007U) != 0) {
        text.error = "found a key that everybody on this machine can read or change, allowed mode 0600 (or 0640)";
    } else if (static_cast<std::size_t>(status.st_size) > kMaxFileBytes) {
        text.error = "found " + std::to_string(status.st_size) + " bytes, allowed " + std::to_string(kMaxFileBytes);
    }
    std::array<char, 4096> buffer{};
    while (text.error.empty()) {
        const ssize_t got = ::read(fd, buffer.data(), buffer.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) text.error = std::system_category().message(errno);
        if (got <= 0) break;
        text.content.append(buffer.data(), static_cast<std::size_t>(got));
        if (text.content.size() > kMaxFileBytes) text.error = "it grew while it was read";
    }
    ::close(fd);
    return text;
}

/// The library's reason for the last failure.
std::string reason() {
    const unsigned long code = ::ERR_peek_last_error();
    const char* text = ::ERR_reason_error_string(code);
    ::ERR_clear_error();
    return text != nullptr ? text : "unknown reason";
}

Bio bio_of(const std::string& text) {
    return Bio(::BIO_new_mem_buf(text.data(), static_cast<int>(std::min<std::size_t>(text.size(), INT_MAX))));
}

std::vector<Certificate> certificates_in(const std::string& text) {
    std::vector<Certificate> out;
    const Bio bio = bio_of(text);
    while (X509* one = ::PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) out.emplace_back(one);
    ::ERR_clear_error();  // the end of the file is an error to the library
    return out;
}

int no_password(char*, int, int, void*) { return 0; }

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_length, const unsigned char* in,
                    unsigned in_length, void*) {
    static constexpr unsigned char kHttp[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char* chosen = nullptr;
    const int found = ::SSL_select_next_proto(&chosen, out_length, kHttp, sizeof kHttp, in, in_length);
    if (found != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

std::chrono::system_clock::time_point end_of(const X509* certificate) {
    std::tm parts{};
    if (::ASN1_TIME_to_tm(::X509_get0_notAfter(certificate), &parts) != 1) return {};
    return std::chrono::system_clock::from_time_t(::timegm(&parts));
}

struct Made {
    Context context;
    std::chrono::system_clock::time_point not_after;
};

TlsFault fault(const char* field, const std::string& path, const std::string& why) {
    return {field, "found \"" + path + "\": " + why};
}

std::optional<TlsFault> put_clients(SSL_CTX* context, const TlsFiles& files) {
    ::SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
    if (files.clients == ClientCertificates::none) return std::nullopt;
    const Text text = read_file(files.client_ca, false);
    if (!text.error.empty()) return fault("client_ca", files.client_ca, text.error);
    const std::vector<Certificate> authorities = certificates_in(text.content);
    if (authorities.empty()) return fault("client_ca", files.client_ca, "it holds no certificate (PEM)");
    X509_STORE* store = ::SSL_CTX_get_cert_store(context);
    for (const Certificate& one : authorities) {
        if (::X509_STORE_add_cert(store, one.get()) != 1 || ::SSL_CTX_add_client_CA(context, one.get()) != 1) {
            return fault("client_ca", files.client_ca, reason());
        }
    }
    constexpr int kLongestChain = 8;
    ::SSL_CTX_set_verify_depth(context, kLongestChain);
    const bool required = files.clients == ClientCertificates::required;
    ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    return std::nullopt;
}

std::variant<Made, TlsFault> make(const TlsFiles& files) {
    ::ERR_clear_error();
    const Text certificate_text = read_file(files.certificate, false);
    if (!certificate_text.error.empty()) return fault("certificate", files.certificate, certificate_text.error);
    Text key_text = read_file(files.key, true);
    if (!key_text.error.empty()) return fault("key", files.key, key_text.error);

    Made made;
    made.context.reset(::SSL_CTX_new(::TLS_server_method()));
    SSL_CTX* context = made.context.get();
    if (context == nullptr) return fault("certificate", files.certificate, reason());
    ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    ::SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
    ::SSL_CTX_set_options(
        context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_CIPHER_SERVER_PREFERENCE);
    ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_num_tickets(context, 0);
    ::SSL_CTX_set_mode(context,
                       SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    // A client that sends one empty record after the other must come back to our deadline between them.
    ::SSL_CTX_clear_mode(context, SSL_MODE_AUTO_RETRY);
    ::SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);

    std::vector<Certificate> chain = certificates_in(certificate_text.content);
    if (chain.empty()) return fault("certificate", files.certificate, "it holds no certificate (PEM)");
    made.not_after = end_of(chain.front().get());
    if (::SSL_CTX_use_certificate(context, chain.front().get()) != 1) {
        return fault("certificate", files.certificate, reason());
    }
    for (std::size_t i = 1; i < chain.size(); ++i) {
        if (::SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) {
            return fault("certificate", files.certificate, reason());
        }
    }
    const Bio key_bio = bio_of(key_text.content);
    const Key key(::PEM_read_bio_PrivateKey(key_bio.get(), nullptr, no_password, nullptr));
    ::OPENSSL_cleanse(key_text.content.data(), key_text.content.size());
    if (key == nullptr) {
        ::ERR_clear_error();
        return fault("key", files.key, "it holds no private key (PEM, without a password)");
    }
    if (::X509_check_private_key(chain.front().get(), key.get()) != 1) {
        ::ERR_clear_error();
        return fault("key", files.key, "it is not the key of the certificate " + files.certificate);
    }
    if (::SSL_CTX_use_PrivateKey(context, key.get()) != 1) return fault("key", files.key, reason());
    if (std::optional<TlsFault> refused = put_clients(context, files)) return *std::move(refused);
    return made;
}

}  // namespace

struct TlsContext::State {
    TlsFiles files;
    mutable std::mutex mutex;  ///< of all below
    Context context;
    Stamps stamps;  ///< of the files in force, or of those whose fault was believed
    std::optional<Stamps> doubtful;
    TlsStatus status;
};

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::~TlsContext() = default;

TlsContext::Loaded TlsContext::load(TlsFiles files) {
    auto state = std::make_unique<State>();
    state->stamps = stamps_of(files);
    auto made = make(files);
    if (auto* refused = std::get_if<TlsFault>(&made)) return std::move(*refused);
    state->files = std::move(files);
    state->context = std::move(std::get<Made>(made).context);
    state->status.not_after = std::get<Made>(made).not_after;
    state->status.loads = 1;
    return std::shared_ptr<TlsContext>(new TlsContext(std::move(state)));
}

ssl_st* TlsContext::new_connection() const {
    const std::lock_guard lock(state_->mutex);
    return ::SSL_new(state_->context.get());
}

TlsStatus TlsContext::status() const {
    const std::lock_guard lock(state_->mutex);
    return state_->status;
}

bool TlsContext::look_again() {
    const Stamps now = stamps_of(state_->files);
    std::unique_lock lock(state_->mutex);
    if (now == state_->stamps) {
        state_->doubtful.reset();
        return false;
    }
    const auto in_force_until = state_->status.not_after;
    lock.unlock();
    auto made = make(state_->files);
    if (auto* good = std::get_if<Made>(&made)) {
        const auto clock = std::chrono::system_clock::now();
        if (good->not_after <= clock && in_force_until > clock) {
            made = fault("certificate", state_->files.certificate, "it has expired, and the one in force has not");
        }
    }
    // Written while it was read: another look will see it whole.
    const bool steady = stamps_of(state_->files) == now;
    lock.lock();
    if (auto* good = std::get_if<Made>(&made)) {
        if (!steady) return false;
        state_->context.swap(good->context);
        state_->stamps = now;
        state_->doubtful.reset();
        state_->status.not_after = good->not_after;
        ++state_->status.loads;
        state_->status.error.clear();
        return true;
    }
    if (!steady || state_->doubtful != now) {
        state_->doubtful = now;
        return false;
    }
    const TlsFault& refused = std::get<TlsFault>(made);
    state_->stamps = now;
    state_->doubtful.reset();
    ++state_->status.refused;
    state_->status.error = "tls." + refused.field + ": " + refused.message;
    return true;
}

struct TlsWatch::State {
    std::shared_ptr<TlsContext> context;
    std::function<void(const TlsStatus&)> on_change;
    std::chrono::milliseconds interval;
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;
    std::thread thread;

    void run() {
        on_change(context->status());
        std::unique_lock lock(mutex);
        while (!changed.wait_for(lock, interval, [this] { return stopping; })) {
            lock.unlock();
            if (context->look_again()) on_change(context->status());
            lock.lock();
        }
    }
};

TlsWatch::TlsWatch(std::shared_ptr<TlsContext> context, std::function<void(const TlsStatus&)> on_change,
                   std::chrono::milliseconds interval)
    : state_(std::make_unique<State>()) {
    state_->context = std::move(context);
    state_->on_change = std::move(on_change);
    state_->interval = interval;
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

TlsWatch::~TlsWatch() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->stopping = true;
    }
    state_->changed.notify_all();
    state_->thread.join();
}

}  // namespace guideway::rest
