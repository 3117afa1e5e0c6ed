"""WireGuard's public keys: the vectors of RFC 7748."""

from moorage.networks.drivers.overlay import x25519


def test_the_vectors_of_the_rfc() -> None:
    scalar = bytes.fromhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4")
    point = bytes.fromhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c")
    want = "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"
    assert x25519.public(scalar, point).hex() == want


def test_two_hosts_agree_on_a_secret() -> None:
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c33dcb7f6a6bd0d4b6f39c4a2b7e5")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    assert x25519.public(alice, x25519.public(bob)) == x25519.public(bob, x25519.public(alice))
