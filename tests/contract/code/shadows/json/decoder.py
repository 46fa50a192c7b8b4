WHO = "program"


class Thing:
    def __init__(self, number):
        self.number = number
