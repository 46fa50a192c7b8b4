def depth():
    return __name__
