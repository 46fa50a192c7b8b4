def publish(): return ()
def fetch(): return ()
def merge(r): pass
def synchronise(): pass
