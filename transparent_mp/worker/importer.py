class ClientFinder:
    def __init__(self, a): pass
    def find_spec(self,*a): return None
