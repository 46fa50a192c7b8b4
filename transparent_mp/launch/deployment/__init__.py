"""How a function comes to be in an account, and goes: what `transparent-mp deploy` and `destroy` do.

`wanted` names it, `packages` and `image` build its code, a file for each kind of resource says which
steps are missing, `deploying` puts them in order.
"""
