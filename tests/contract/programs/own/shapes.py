import ctypes


class Pair(ctypes.Structure):
    _fields_ = [("left", ctypes.c_int), ("right", ctypes.c_double)]
