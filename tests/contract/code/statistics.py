"""Of the program's, under a name that the standard library has too."""


def mean(numbers):
    return "the program's own", list(numbers)
