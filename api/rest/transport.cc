#include "api/rest/transport.h"

#include <algorithm>
#include <cerrno>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>

#include <climits>

namespace guideway::rest {
namespace {

std::string_view failure_of(unsigned long code) {
    switch (ERR_GET_REASON(code)) {
        case SSL_R_HTTP_REQUEST:
        case SSL_R_HTTPS_PROXY_REQUEST:
            return "not_tls";
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_VERSION_TOO_LOW:
        case SSL_R_NO_PROTOCOLS_AVAILABLE:
        case SSL_R_WRONG_VERSION_NUMBER:
        case SSL_R_NO_SHARED_CIPHER:
            return "version";
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return "certificate";
        default:
            return "other";
    }
}

}  // namespace

Transport::Transport(int fd, ssl_st* tls) : fd_(fd), tls_(tls) {
    if (tls_ == nullptr) return;
    ::SSL_set_fd(tls_, fd_);
    ::SSL_set_accept_state(tls_);
}

Transport::~Transport() {
    if (tls_ == nullptr) return;
    ::SSL_free(tls_);
    ::ERR_clear_error();
}

Transport::Wait Transport::outcome_of(int result) {
    switch (::SSL_get_error(tls_, result)) {
        case SSL_ERROR_WANT_READ:
            return Wait::readable;
        case SSL_ERROR_WANT_WRITE:
            return Wait::writable;
        case SSL_ERROR_ZERO_RETURN:
            return Wait::closed;
        case SSL_ERROR_SYSCALL:
            broken_ = true;
            failure_ = "closed";
            return Wait::closed;
        default:
            broken_ = true;
            failure_ = failure_of(::ERR_peek_error());
            return Wait::closed;
    }
}

Transport::Wait Transport::handshake() {
    if (tls_ == nullptr) return Wait::none;
    ::ERR_clear_error();
    const int result = ::SSL_do_handshake(tls_);
    if (result == 1) {
        established_ = true;
        return Wait::none;
    }
    return outcome_of(result);
}

Transport::Outcome Transport::receive(char* to, std::size_t size) {
    if (tls_ == nullptr) {
        while (true) {
            const ssize_t got = ::recv(fd_, to, size, 0);
            if (got > 0) return {static_cast<std::size_t>(got), Wait::none};
            if (got < 0 && errno == EINTR) continue;
            return {0, got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? Wait::readable : Wait::closed};
        }
    }
    ::ERR_clear_error();
    const int got = ::SSL_read(tls_, to, static_cast<int>(std::min<std::size_t>(size, INT_MAX)));
    if (got > 0) return {static_cast<std::size_t>(got), Wait::none};
    return {0, outcome_of(got)};
}

Transport::Outcome Transport::send(const char* from, std::size_t size) {
    if (tls_ == nullptr) {
        while (true) {
            const ssize_t sent = ::send(fd_, from, size, MSG_NOSIGNAL);
            if (sent > 0) return {static_cast<std::size_t>(sent), Wait::none};
            if (sent < 0 && errno == EINTR) continue;
            return {0, sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? Wait::writable : Wait::closed};
        }
    }
    ::ERR_clear_error();
    const int sent = ::SSL_write(tls_, from, static_cast<int>(std::min<std::size_t>(size, INT_MAX)));
    if (sent > 0) return {static_cast<std::size_t>(sent), Wait::none};
    return {0, outcome_of(sent)};
}

void Transport::end_sending() {
    if (tls_ != nullptr && established_ && !broken_) {
        ::ERR_clear_error();
        ::SSL_shutdown(tls_);
        ::ERR_clear_error();
    }
    ::shutdown(fd_, SHUT_WR);
}

bool Transport::client_gone() const {
    pollfd entry{fd_, POLLRDHUP, 0};
    return ::poll(&entry, 1, 0) > 0 && (entry.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

std::string Transport::client_name() const {
    if (tls_ == nullptr || ::SSL_get_verify_result(tls_) != X509_V_OK) return {};
    X509* const certificate = ::SSL_get1_peer_certificate(tls_);
    if (certificate == nullptr) return {};
    std::string name;
    const X509_NAME* const subject = ::X509_get_subject_name(certificate);
    const int at = ::X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0 && ::X509_NAME_get_index_by_NID(subject, NID_commonName, at) < 0) {
        unsigned char* text = nullptr;
        const int size = ::ASN1_STRING_to_UTF8(&text, ::X509_NAME_ENTRY_get_data(::X509_NAME_get_entry(subject, at)));
        if (size > 0) name.assign(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
        ::OPENSSL_free(text);
    }
    ::X509_free(certificate);
    // "admin\0.evil" must not pass for "admin".
    if (name.find('\0') != std::string::npos) name.clear();
    return name;
}

}  // namespace guideway::rest
