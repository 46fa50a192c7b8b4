from __future__ import annotations


def test_structures_and_unions_of_main_travel_by_value(program):
    printed = program(
        """
        import ctypes
        from far_side import ship

        class Pair(ctypes.Structure):
            "Two numbers."
            _fields_ = [("left", ctypes.c_int), ("right", ctypes.c_double)]
            unit = "m"
            def total(self):
                return self.left + self.right

        class Derived(Pair):
            _fields_ = [("more", Pair * 2)]
            def total(self):
                return super().total() + self.more[1].total()

        class Either(ctypes.Union):
            _fields_ = [("pair", Pair), ("number", ctypes.c_int)]

        def work():
            derived = Derived(1, 2.5, (Pair * 2)((3, 4.0), (5, 6.0)))
            either = Either(Pair(9, 1.0))
            sizes = ctypes.sizeof(Pair), ctypes.sizeof(Derived)
            return derived.total(), either.number, Pair.unit, Pair.__doc__, sizes

        assert ship(work)[0] == work() == (14.5, 9, "m", "Two numbers.", (16, 48))
        print("same")
        """
    )
    assert printed == "same\n"
