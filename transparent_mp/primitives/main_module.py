def capture(): return b""
def restore(d): pass
