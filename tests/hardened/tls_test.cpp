// Which connections a server over TLS takes: with TLS 1.2 those with forward secrecy, TLS 1.3 (which has no others), nothing
// older.
#include "hardened_testing.hpp"

#include "sluice/httplib.hpp"

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>

#include "files.hpp"

namespace {

template <auto Free>
struct by {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};
using context = std::unique_ptr<SSL_CTX, by<::SSL_CTX_free>>;
using connection = std::unique_ptr<BIO, by<::BIO_free_all>>;

// Of RSA, which alone can exchange keys without forward secrecy.
struct identity {
  identity() {
    const std::unique_ptr<EVP_PKEY, by<::EVP_PKEY_free>> pair(::EVP_RSA_gen(2048));
    const std::unique_ptr<X509, by<::X509_free>> own(::X509_new());
    REQUIRE(pair);
    ::X509_set_version(own.get(), 2);
    ::ASN1_INTEGER_set(::X509_get_serialNumber(own.get()), 1);
    ::X509_gmtime_adj(::X509_getm_notBefore(own.get()), 0);
    ::X509_gmtime_adj(::X509_getm_notAfter(own.get()), 86400);
    ::X509_set_pubkey(own.get(), pair.get());
    ::X509_sign(own.get(), pair.get(), ::EVP_sha256());
    const connection to_cert(::BIO_new_file(cert.c_str(), "w")), to_key(::BIO_new_file(key.c_str(), "w"));
    REQUIRE(::PEM_write_bio_X509(to_cert.get(), own.get()) == 1);
    REQUIRE(::PEM_write_bio_PrivateKey(to_key.get(), pair.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1);
  }

  testing::folder here;
  std::string cert = here / "cert.pem", key = here / "key.pem";
};

// The cipher that a client gets that knows one version and, up to TLS 1.2, these ciphers; "" when it is refused.
std::string agreed(int port, int version, const char* ciphers) {
  const context own(::SSL_CTX_new(::TLS_client_method()));
  ::SSL_CTX_set_security_level(own.get(), 0);  // as old clients are
  ::SSL_CTX_set_min_proto_version(own.get(), version);
  ::SSL_CTX_set_max_proto_version(own.get(), version);
  REQUIRE(::SSL_CTX_set_cipher_list(own.get(), ciphers) == 1);
  const connection to(::BIO_new_ssl_connect(own.get()));
  SSL* ssl = nullptr;
  BIO_get_ssl(to.get(), &ssl);
  BIO_set_conn_hostname(to.get(), testing::cat("127.0.0.1:", std::to_string(port)).c_str());
  if (BIO_do_handshake(to.get()) != 1) return "";
  REQUIRE(::BIO_puts(to.get(), testing::last_get.c_str()) > 0);
  std::string answer;
  char some[512];
  for (int n = 0; (n = ::BIO_read(to.get(), some, sizeof some)) > 0;) answer.append(some, static_cast<std::size_t>(n));
  CHECK(testing::says(answer, "200"));
  return ::SSL_get_cipher_name(ssl);
}

void check(int port) {
  for (const char* secret : {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"}) {
    CAPTURE(secret);
    CHECK(agreed(port, TLS1_2_VERSION, secret) == secret);
  }
  CHECK(agreed(port, TLS1_3_VERSION, "ALL").starts_with("TLS_"));
  for (const char* plain : {"AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA", "kRSA", "aNULL"}) {
    CAPTURE(plain);
    CHECK(agreed(port, TLS1_2_VERSION, plain) == "");
  }
  CHECK(agreed(port, TLS1_1_VERSION, "ALL") == "");
  CHECK(agreed(port, TLS1_2_VERSION, "kRSA:ECDHE-RSA-AES128-GCM-SHA256") == "ECDHE-RSA-AES128-GCM-SHA256");
}

}  // namespace

TEST_CASE("a hardened server takes keys with forward secrecy alone") {
  const identity own;
  testing::hardened_app<sluice::hardened_tls_server> app({}, own.cert.c_str(), own.key.c_str());
  REQUIRE(app.server.is_valid());
  app.start();
  check(app.port);
}

TEST_CASE("so does a server of httplib's that is tuned") {
  const identity own;
  httplib::SSLServer server(own.cert.c_str(), own.key.c_str());
  sluice::tune(server, 4);
  server.Get("/hello", [](const httplib::Request&, httplib::Response& res) { res.set_content("hello", "text/plain"); });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();
  check(port);
  server.stop();
  thread.join();
}

TEST_CASE("a certificate that cannot be read is no crash") {
  sluice::hardened_tls_server server(sluice::hardened_options{}, "/nowhere/cert.pem", "/nowhere/key.pem");
  CHECK(!server.is_valid());
  httplib::SSLServer plain("/nowhere/cert.pem", "/nowhere/key.pem");
  sluice::tune(plain);
  CHECK(!plain.is_valid());
}

#endif
