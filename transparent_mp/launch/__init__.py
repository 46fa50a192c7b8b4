"""How a worker comes to exist, and AWS.

`Launcher` is the contract; `local` and `aws` fulfil it; `fleet` is the client's book of its workers.
`deployment` makes the function that `aws` invokes, `bucket` is a session's depot, `clients` are AWS's.
"""
