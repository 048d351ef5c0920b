#pragma once

#include "actors/security/certificates.hpp"
#include "messages/bytes.hpp"

#include <array>
#include <cstdint>

namespace troupe {

using frame_key = std::array<std::byte, 32>;
using frame_tag = std::array<std::byte, 16>;

/// One direction of a data connection under AES-256-GCM: authenticates header, body and bulk of
/// every frame, and encrypts body and bulk if asked to. The nonce is the frame's sequence number,
/// so a key must never be used for two connections or directions, and a frame that is repeated,
/// left out or moved fails. Not thread-safe.
class frame_cipher {
public:
  enum class direction : std::uint8_t { seal, open };
  frame_cipher(direction which, const frame_key& key, bool encrypt);

  bool encrypts() const { return encrypt_; }
  /// The tag over plain bytes. Only if it does not encrypt.
  frame_tag sign(std::uint64_t sequence, byte_view header, std::span<const byte_view> parts);
  /// Encrypts `parts` into `out`, which is as long as all of them. Only if it encrypts.
  frame_tag seal(std::uint64_t sequence, byte_view header, std::span<const byte_view> parts,
                 std::span<std::byte> out);
  /// Checks, and decrypts `parts` in place if it encrypts. @returns false if the tag is wrong;
  /// the bytes are then worthless.
  bool open(std::uint64_t sequence, byte_view header, std::span<const std::span<std::byte>> parts,
            const frame_tag& tag);

private:
  void start(std::uint64_t sequence);

  direction direction_;
  bool encrypt_;
  openssl_ptr<EVP_CIPHER_CTX> context_;
};

} // namespace troupe
