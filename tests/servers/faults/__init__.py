"""Servers with one fault each: hostile, flaky, rate-limited and lying, with the truth about them.

`registry.ALL` names every fault, with one line that says what a scanner must conclude. One child
process (`process.start`) serves all of them at once, each on an address of its own under
127.0.0.0/8 and all on one port, so that a single scan meets every one.

Two engines answer: `real` (OpenSSL, by Python's ssl, over memory) and `made` (bytes by hand where
no library would do it). Between them and the wire stands the fault. The ClientHello is read by
`asked`, which shares nothing with the scanner's codec. Randomness comes from the seed, the fault's
name and the number of the connection, so that runs repeat.
"""
