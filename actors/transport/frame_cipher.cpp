#include "actors/transport/frame_cipher.hpp"

#include "storage/base/assert.hpp"
#include "storage/base/coding.hpp"

#include <openssl/evp.h>

namespace troupe {

namespace {

const unsigned char* raw(const std::byte* x) {
  return reinterpret_cast<const unsigned char*>(x);
}
unsigned char* raw(std::byte* x) {
  return reinterpret_cast<unsigned char*>(x);
}

} // namespace

frame_cipher::frame_cipher(direction which, const frame_key& key, bool encrypt)
  : direction_(which), encrypt_(encrypt), context_(::EVP_CIPHER_CTX_new()) {
  TROUPE_ASSERT(context_ != nullptr);
  TROUPE_ASSERT(::EVP_CipherInit_ex(context_.get(), ::EVP_aes_256_gcm(), nullptr, raw(key.data()),
                                    nullptr, which == direction::seal ? 1 : 0)
                == 1);
}

void frame_cipher::start(std::uint64_t sequence) {
  std::array<std::byte, 12> nonce{};
  store_le(nonce.data() + 4, sequence);
  TROUPE_ASSERT(
    ::EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, raw(nonce.data()), -1) == 1);
}

frame_tag frame_cipher::sign(std::uint64_t sequence, byte_view header,
                             std::span<const byte_view> parts) {
  TROUPE_ASSERT(direction_ == direction::seal && !encrypt_);
  start(sequence);
  int n = 0;
  ::EVP_EncryptUpdate(context_.get(), nullptr, &n, raw(header.data()),
                      static_cast<int>(header.size()));
  for (const auto& part : parts)
    ::EVP_EncryptUpdate(context_.get(), nullptr, &n, raw(part.data()),
                        static_cast<int>(part.size()));
  frame_tag tag;
  unsigned char none[16];
  TROUPE_ASSERT(::EVP_EncryptFinal_ex(context_.get(), none, &n) == 1);
  TROUPE_ASSERT(::EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG,
                                      static_cast<int>(tag.size()), tag.data())
                == 1);
  return tag;
}

frame_tag frame_cipher::seal(std::uint64_t sequence, byte_view header,
                             std::span<const byte_view> parts, std::span<std::byte> out) {
  TROUPE_ASSERT(direction_ == direction::seal && encrypt_);
  start(sequence);
  int n = 0;
  ::EVP_EncryptUpdate(context_.get(), nullptr, &n, raw(header.data()),
                      static_cast<int>(header.size()));
  std::size_t at = 0;
  for (const auto& part : parts) {
    TROUPE_ASSERT(out.size() - at >= part.size());
    ::EVP_EncryptUpdate(context_.get(), raw(out.data() + at), &n, raw(part.data()),
                        static_cast<int>(part.size()));
    at += part.size();
  }
  TROUPE_ASSERT(at == out.size());
  frame_tag tag;
  unsigned char none[16];
  TROUPE_ASSERT(::EVP_EncryptFinal_ex(context_.get(), none, &n) == 1);
  TROUPE_ASSERT(::EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG,
                                      static_cast<int>(tag.size()), tag.data())
                == 1);
  return tag;
}

bool frame_cipher::open(std::uint64_t sequence, byte_view header,
                        std::span<const std::span<std::byte>> parts, const frame_tag& tag) {
  TROUPE_ASSERT(direction_ == direction::open);
  start(sequence);
  int n = 0;
  ::EVP_DecryptUpdate(context_.get(), nullptr, &n, raw(header.data()),
                      static_cast<int>(header.size()));
  for (const auto& part : parts)
    ::EVP_DecryptUpdate(context_.get(), encrypt_ ? raw(part.data()) : nullptr, &n, raw(part.data()),
                        static_cast<int>(part.size()));
  auto copy = tag;
  ::EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(copy.size()),
                        copy.data());
  unsigned char none[16];
  return ::EVP_DecryptFinal_ex(context_.get(), none, &n) == 1;
}

} // namespace troupe
