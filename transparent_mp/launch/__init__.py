"""How a worker comes to exist.

`Launcher` is the contract; `local` and `aws` fulfil it; `fleet` is the client's book of its workers.
"""
