"""The algorithms that the gateway speaks, of those that current OpenSSH offers: nothing with SHA-1.

Against cut and inserted packets (CVE-2023-48795, "Terrapin") both sides number anew with their keys, which
asyncssh asks for. ChaCha20-Poly1305, on which that attack works best where a peer does not, and which costs
most here, is left out: what speaks it speaks AES too.
"""

from typing import Any, Final

KEX: Final = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group14-sha256",
)
ENCRYPTION: Final = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
)
MAC: Final = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
SIGNATURES: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)

OPTIONS: Final[dict[str, Any]] = {
    "kex_algs": KEX,
    "encryption_algs": ENCRYPTION,
    "mac_algs": MAC,
    "signature_algs": SIGNATURES,
    # both sides are in the same journal: compressing what is compressed there anyway only costs
    "compression_algs": ["none"],
    "config": [],
    "gss_host": None,
    "tcp_keepalive": False,
    "keepalive_interval": 0,
    # the listener's own deadline holds, and names the setting
    "login_timeout": 0,
}
