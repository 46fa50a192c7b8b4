CALLS = []


def double(number):
    CALLS.append(number)
    return 2 * number
