def where():
    return __name__, __file__.replace("\\", "/").split("/")[-3:]
